"""Tests of one file that share a worker: to start one for each takes longer than they do."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from tests import emptying
from tests.workers import running_worker

_up: "list[Standing]" = []


def on(*slow: str, slots: int = 4, **environment: str) -> pytest.MarkDecorator:
    """With one gevent worker for all tests of the file, see `standing_worker`; by `make test-slow` with one of each of these pools too."""
    pools = [pytest.param((pool, slots, environment), id=pool, marks=[pytest.mark.slow] * (pool in slow)) for pool in ("gevent", *slow)]
    return pytest.mark.parametrize("worker_of_module", pools, indirect=True)


class Standing:
    """A worker that goes on from one test to the next, and ends before one that wants none beside it."""

    def __init__(self, log: Path, blocker: DjangoDbBlocker, pool: str, slots: int, environment: dict[str, str]) -> None:
        self.pool, self.log = pool, log
        self._slots, self._environment = slots, environment
        self._blocker = blocker
        self._stack = ExitStack()

    def begin(self) -> None:
        if self not in _up:
            self._stack.enter_context(self._blocker.unblock())
            self._stack.enter_context(emptying.keeping("jobs_worker", "jobs_outage"))
            self._stack.enter_context(running_worker(self.log, pool=self.pool, slots=self._slots, **self._environment))
            _up.append(self)

    def end(self) -> None:
        if self in _up:
            _up.remove(self)
            self._stack.close()


def end_all() -> None:
    for worker in [*_up]:
        worker.end()
