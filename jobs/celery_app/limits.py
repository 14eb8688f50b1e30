"""Time limits in greenlets and in threads. Under prefork Celery's own hold, and the leader takes over what is past its deadline."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from jobs import given
from jobs.celery_app import process_engine
from jobs.domain import own_failures
from jobs.domain.errors import JobTimeout

_of_worker: list[float | None] = [None, None]  # hard, soft: of the command line or the configuration


def of_worker(hard: float | None, soft: float | None) -> None:
    """The limits of tasks that have none of their own, in seconds."""
    _of_worker[:] = [hard, soft]


def hard(task: Any, request: Any) -> float | None:
    """Celery's limit of this run: of the message, the task or the worker."""
    return (request.timelimit or (None, None))[0] or task.time_limit or _of_worker[0]


def own(task: Any, request: Any) -> float | None:
    """What the process that runs the body sees to by itself, outside gevent: the job's limit, and where no parent keeps Celery's, that."""
    job, celery = request.job_timeout, hard(task, request) if process_engine.is_alone() else None
    return min(job, celery) if job and celery else job or celery


def left(seconds: float) -> AbstractContextManager[Any]:
    """A limit of so many seconds that are left of one."""
    return _Limited(seconds, None, None) if process_engine.is_green() else nullcontext()


def applied(task: Any, request: Any, spent: float = 0.0) -> AbstractContextManager[Any]:
    """The limits of this run: the job's own (`timeout`) or, where it is not later, Celery's: of the message, the task or the worker.

    `spent`: seconds of it that have passed before.
    """
    hard, soft = request.timelimit or (None, None)
    hard, soft = hard or task.time_limit or _of_worker[0], soft or task.soft_time_limit or _of_worker[1]
    if hard or soft:  # those of a task that no call has read: an INSERT has made the row
        hard, soft = given.limits((hard, soft))
    own = request.job_timeout
    if hard and own:  # the smaller one: a process that holds a body past its row's deadline is ended
        hard, own = (None, own) if own < hard else (hard, None)
    if not (own or hard or soft):
        return nullcontext()
    return _Limited(own, hard, soft, spent) if process_engine.is_green() else _renamed(hard)


class _Limited:
    """Timers of the loop: the job's own limit, or Celery's hard one, and the soft one inside it. A gevent.Timeout for each costs more."""

    __slots__ = ("hard", "own", "soft", "spent", "timers")

    def __init__(self, own: float | None, hard: float | None, soft: float | None, spent: float = 0.0) -> None:
        self.own, self.hard, self.soft, self.spent = own, hard, soft, spent
        self.timers: list[Any] = []

    def __enter__(self) -> None:
        from gevent import get_hub, getcurrent

        throw, timer = getcurrent().throw, get_hub().loop.timer
        limit = self.own or self.hard
        self.timers = [timer(max(limit - self.spent, 0.0))] if limit else []
        if limit:
            self.timers[0].start(throw, _Over(self))
        if self.soft:
            self.timers.append(timer(max(self.soft - self.spent, 0.0)))
            self.timers[-1].start(throw, SoftTimeLimitExceeded(self.soft))

    def __exit__(self, kind: type[BaseException] | None, error: Any, traceback: object) -> None:
        for timer in self.timers:
            timer.close()
        if kind is _Over and error.limits is self:
            raise (JobTimeout(own_failures.TOO_LONG % {"seconds": self.own}) if self.own else TimeLimitExceeded(self.hard)) from None


class _Over(BaseException):
    """Thrown into a body whose time is over: `except Exception` does not catch it."""

    def __init__(self, limits: _Limited) -> None:
        super().__init__()
        self.limits = limits


@contextmanager
def _renamed(hard: float | None) -> Iterator[None]:
    """The body was interrupted at its row's deadline; where that came from Celery's limit, people expect Celery's error."""
    try:
        yield
    except JobTimeout:
        if hard is None:
            raise
        raise TimeLimitExceeded(hard) from None
