"""How a worker of the pool prefork ends its children."""

import os
import time
from contextlib import suppress
from typing import Any, Final

from celery.concurrency.asynpool import AsynPool

from jobs.worker import stopping

IDLE_S = 5.0  # for those who run no job; one may still call an errback
TERM_S = 2.0  # for those who were sent SIGTERM
_ALL_READ: Final = 2**30  # of a C int, which the pool still adds to


def end(pool: Any, by: float) -> None:
    """Those that run no job as Celery does, with exit code 0; at `by` (time.monotonic()), or after some seconds, the rest by SIGTERM."""
    if pool._pool is None:  # it has ended already
        return
    if isinstance(pool._pool, AsynPool):  # the other has threads: they read, and start a child for each that ends
        _ask(pool._pool, min(by, time.monotonic() + IDLE_S))
        _read(pool._pool)
    # A child waits half a minute for its parent to read how its jobs ended. Told to stop, Celery forgets each job that a child has begun
    # without its parent knowing yet, and where it knows of none it reads no more. The rows say how they ended.
    for read in list(pool._pool._on_ready_counters.values()):
        read.get_obj().value = _ALL_READ  # without its lock: a child that was killed may have kept it
    if isinstance(pool._pool, AsynPool):
        _terminate(pool._pool._pool)
    pool.terminate()


def _ask(pool: AsynPool, by: float) -> None:
    if time.monotonic() >= by:
        return
    for child in pool._pool:
        with suppress(OSError):  # its pipe is full, or closed
            child.inq.put(None)
    while any(child._is_alive() for child in pool._pool) and time.monotonic() < by and not stopping.is_cold():
        _read(pool)
        time.sleep(0.05)


def _read(pool: AsynPool) -> None:
    """What the children have said. The pool takes those that have ended for lost, with all of theirs that it has not read."""
    handler, children, gone = pool._result_handler, pool._fileno_to_outq, set[int]()
    for descriptor, child in list(children.items()):
        with suppress(OSError):  # closed
            while descriptor not in gone and child.outq._reader.poll(0):
                handler._flush_outqueue(descriptor, gone.add, children, handler.on_state_change)


def _terminate(children: list[Any]) -> None:
    """By SIGTERM. What they say meanwhile is dropped: where one is cut off in what is longer than a pipe, the rest would be waited for."""
    for child in children:
        if child._is_alive():
            child.terminate()
    end = time.monotonic() + TERM_S
    alive = True
    while alive and time.monotonic() < end:
        alive = any(child._is_alive() for child in children)
        for child in children:
            _drop(child.outq._reader)
        time.sleep(0.02)


def _drop(reader: Any) -> None:
    with suppress(OSError):  # closed, or there is no more
        os.set_blocking(reader.fileno(), False)
        while os.read(reader.fileno(), 65536):
            pass
