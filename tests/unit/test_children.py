"""How a prefork worker ends its children."""

import os
import signal
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import billiard
from celery.concurrency.asynpool import AsynPool

from jobs.worker import children
from tests.waiting import until


def test_what_is_read_while_they_end_makes_none_wait_again() -> None:
    read = billiard.get_context("fork").Value("i")

    def terminate() -> None:
        read.value += 1  # as the pool's, when it finds the end of a job in a child's pipe

    children.end(SimpleNamespace(_pool=SimpleNamespace(_on_ready_counters={1: read}), terminate=terminate), 0.0)
    assert read.value > 1_000_000, "more than a child has run"


def test_one_that_is_cut_off_in_a_long_word_keeps_no_worker() -> None:
    """The pool would wait for the rest of it: other children have the pipe too."""
    context = billiard.get_context("fork")
    lines = [context.SimpleQueue() for _ in range(2)]
    said = [context.Process(target=line.put, args=("x" * 300_000,), daemon=True) for line in lines]
    pool, left = AsynPool.__new__(AsynPool), list[Any]()
    for child, line in zip(said, lines, strict=True):
        child.start()
        child.outq = line
        until(lambda line=line: line._reader.poll(0), what="it has begun")  # type: ignore[misc]
    pool._pool, pool._on_ready_counters, pool._fileno_to_outq, pool._result_handler = said, {}, {}, None

    def terminate() -> None:
        left.append([(child._is_alive(), line._reader.poll(0)) for child, line in zip(said, lines, strict=True)])

    try:
        children.end(SimpleNamespace(_pool=pool, terminate=terminate), 0.0)
    finally:
        for child in said:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            child.join(5)
    assert left == [[(False, False)] * 2]
