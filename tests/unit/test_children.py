"""How a prefork worker ends its children."""

from types import SimpleNamespace

import billiard

from jobs.worker import children


def test_what_is_read_while_they_end_makes_none_wait_again() -> None:
    read = billiard.get_context("fork").Value("i")

    def terminate() -> None:
        read.value += 1  # as the pool's, when it finds the end of a job in a child's pipe

    children.end(SimpleNamespace(_pool=SimpleNamespace(_on_ready_counters={1: read}), terminate=terminate), 0.0)
    assert read.value > 1_000_000, "more than a child has run"
