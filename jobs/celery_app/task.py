"""The base of every task: claim, run, hand the outcome on."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import celery
from celery.exceptions import Ignore, Reject, Retry
from kombu.utils.json import dumps

from jobs.celery_app import plain, settle
from jobs.celery_app.body import Body
from jobs.conf import configuration
from jobs.domain import retry as policy
from jobs.domain.errors import JobCancelled, JobInterrupted, JobTimeout, PermanentError
from jobs.store.insert import NewJob
from jobs.store.transitions import Run


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a claimed run will write, once, at its end."""

    run: Run
    closing: bool = False  # from the end of the body on, what is sent belongs to the outcome
    settled: bool = False
    retry: dict[str, Any] | None = None
    ended_by: type[Exception] | None = None  # set by whoever kills the greenlet, before it does
    sends: list[NewJob] = field(default_factory=list)
    body: Body = field(default_factory=Body)

    def cancel(self, error: type[Exception]) -> None:
        """Interrupt the body; it ends as that error says."""
        self.ended_by = error
        self.body.throw(error)


class JobTask(celery.Task):
    """A Celery task with a row behind each of its runs. `timeout` is its time limit in seconds; None means none."""

    abstract = True
    timeout: int | None = None

    @property
    def job_id(self) -> int | None:
        """The number of the job that runs, None outside a job."""
        return getattr(self.request, "job_id", None)

    def progress(self, fraction: float, message: str = "") -> bool:
        """Report how far this run is (0 to 1). False when the run is no longer the job's."""
        outcome = getattr(self.request, "outcome", None)
        return outcome is not None and settle.progress(outcome, min(max(float(fraction), 0.0), 1.0), message)

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Celery's, with a row for the message. Returns an AsyncResult; the row is in the caller's transaction."""
        app = self._get_app()
        if rest or options or not plain.is_alike(app, self):
            return super().apply_async(args, kwargs, *rest, **options)
        shape = plain.shape_of(app, self)
        if shape is None:
            result = super().apply_async(args, kwargs)
            new = app.amqp.accepted_here()
            if new is not None and new.task_id == result.id:
                plain.keep(app, self, new, result.ignored)
            return result
        if self.typing:
            self.__header__(*(args or ()), **(kwargs or {}))
        result = self.AsyncResult(app.amqp.accept_alike(shape.new, args, kwargs))
        result.ignored = shape.ignored
        return result

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._claimed(super().__call__, args, kwargs)

    def _claimed(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Claim the run, then call; what comes of it is settled. Only the first of two claims nested in each other counts."""
        request = self.request
        if request.called_directly or request.is_eager or getattr(request, "job_id", None) is None or getattr(request, "outcome", None):
            return call(*args, **kwargs)
        request.outcome = outcome = settle.claim(request, Outcome)
        if outcome is None:
            raise Ignore
        try:
            with outcome.body.running(request.job_timeout), _limit(request.job_timeout):
                result = call(*args, **kwargs)
        except Retry:
            settle.retry(self, outcome)
            raise
        except Reject as rejected:
            settle.reject(self, outcome, rejected)
            raise
        except Ignore:
            settle.cancelled(outcome, "Ignore", "the task ended itself")
            raise
        except JobInterrupted:  # given back already
            raise Ignore from None
        except JobCancelled:
            settle.cancelled(outcome, "JobCancelled", str(JobCancelled()))
            raise Ignore from None
        except Exception as error:  # whatever the task raises is its outcome
            self._failed(request, outcome, error)
            raise
        outcome.closing = True
        if outcome.retry is not None:  # self.retry(throw=False)
            settle.retry(self, outcome)
            raise Ignore
        return result

    def _failed(self, request: Any, outcome: Outcome, error: Exception) -> None:
        """Retry when this job is retried on any exception; otherwise the failure settles in `task_failure`."""
        outcome.closing = True
        final = (PermanentError, *self.throws, *(getattr(self, "dont_autoretry_for", None) or ()))
        if outcome.ended_by is not None or not getattr(request, "autoretry", False) or isinstance(error, final):
            return
        if not policy.can_retry(request.retries + 1, request.max_retries):
            return
        limits = configuration()
        pause = policy.delay(request.retries + 1, backoff=limits.retry_backoff, maximum=limits.retry_backoff_max, rng=random.Random())
        outcome.retry = {"error": error, "traceback": sys.exc_info()[2], "delay": pause}
        settle.retry(self, outcome)
        raise Retry(exc=error, when=pause) from error

    def retry(
        self, args: Any = None, kwargs: Any = None, exc: Any = None, throw: bool = True, eta: datetime | None = None,
        countdown: float | None = None, max_retries: int | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        """Celery's retry; the row is the only retry authority, so this records it and nothing is sent."""
        request = self.request
        outcome = getattr(request, "outcome", None)
        if outcome is None:
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        made_here = getattr(request, "autoretry", False)
        limit = request.max_retries if made_here or max_retries is None else max_retries
        error = exc or sys.exc_info()[1]
        if not policy.can_retry(request.retries + 1, limit):
            if exc is not None:
                raise exc
            raise self.MaxRetriesExceededError(f"Can't retry {self.name}[{request.id}]", task_args=request.args, task_kwargs=request.kwargs)
        pause = self.default_retry_delay if eta is None and countdown is None else countdown or 0
        outcome.retry = {
            "error": error, "traceback": getattr(error, "__traceback__", None), "delay": float(pause), "run_at": eta,
            "args": None if args is None else dumps(list(args)), "kwargs": None if kwargs is None else dumps(dict(kwargs)),
        }  # fmt: skip
        planned = Retry(exc=error, when=eta or pause)
        if throw:
            raise planned
        return planned


class _First:
    """Before a class that may have a `__call__` of its own, so that the run is claimed ahead of it."""

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._claimed(super().__call__, args, kwargs)  # type: ignore[misc]


@cache
def claiming(base: type) -> type:
    """The class itself when it is a JobTask, else one that claims first and is a JobTask behind what it overrides."""
    if issubclass(base, JobTask) and "__call__" not in _own(base):
        return base
    bases = (_First, base) if issubclass(base, JobTask) else (_First, base, JobTask)
    return type(base.__name__, bases, {"abstract": True, "__module__": base.__module__, "__doc__": base.__doc__})


def _own(base: type) -> set[str]:
    """The names that classes between this one and JobTask define."""
    return {name for each in base.__mro__[: base.__mro__.index(JobTask)] for name in vars(each)}


@contextmanager
def _limit(seconds: int | None) -> Iterator[None]:
    """End the body at its deadline, where greenlets can switch. Elsewhere the leader takes the job over."""
    if seconds is None or not settle.is_green():
        yield
        return
    from gevent import Timeout

    try:
        with Timeout(seconds) as timer:
            yield
    except Timeout as expired:
        if expired is not timer:
            raise
        raise JobTimeout(f"the job ran longer than {seconds} s") from None
