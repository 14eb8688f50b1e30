"""What a task's own code raises becomes the outcome of its run."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery.exceptions import Ignore, Reject, Retry, WorkerShutdown, WorkerTerminate

from jobs import registry
from jobs.celery_app import retries, settle
from jobs.celery_app.body import is_kill
from jobs.domain.errors import JobCancelled, JobInterrupted, PermanentError, TaskEnded, TaskExit

_SIGNALS = 64  # the highest number of one; sys.exit(-1) is a task's own
_OF_THE_WORKER = (WorkerShutdown, WorkerTerminate)  # what ends all of it; the job is given back


def settled(task: Any, outcome: Any, call: Callable[[], Any]) -> Any:
    """What the call returns. What it raises is settled, and goes on to Celery's tracer."""
    try:
        return _called(task, outcome, call)
    except Retry:
        settle.retry(task, outcome)
        raise
    except Reject as rejected:
        settle.reject(task, outcome, rejected)
        raise
    except Ignore:
        if outcome.replaced:
            settle.replace(outcome)
        else:
            settle.ignored(outcome)
        raise
    except JobInterrupted:  # given back already
        raise Ignore from None
    except JobCancelled:
        settle.cancelled(outcome, "JobCancelled", str(JobCancelled()))
        raise Ignore from None
    except Exception as error:  # whatever the task raises is its outcome
        _failed(task, outcome, error)
        raise
    except BaseException as error:  # the end of the task, not of its worker
        if _is_from_outside(error):
            raise
        ended = (TaskExit if isinstance(error, SystemExit) else TaskEnded)(f"{type(error).__name__}: {error}")
        _failed(task, outcome, ended)
        raise ended from error


def _called(task: Any, outcome: Any, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Retry as asked:
        if outcome.retry is None:  # raised by hand, or by another task that was called as a function
            when = {"eta": asked.when} if isinstance(asked.when, datetime) else {"countdown": asked.when}
            task.retry(exc=asked.exc, **when)  # raises
        raise


def _is_from_outside(error: BaseException) -> bool:
    """Whether it ends more than this run: the worker, the greenlet that was killed, the process that was told to by a signal."""
    by_signal = isinstance(error, SystemExit) and isinstance(error.code, int) and -256 < error.code <= -256 + _SIGNALS  # billiard's
    return by_signal or isinstance(error, _OF_THE_WORKER) or is_kill(error)


def _failed(task: Any, outcome: Any, error: Exception) -> None:
    """Retry when that was planned, or this job is retried on any exception; otherwise the failure settles in `task_failure`."""
    outcome.closing = True
    if outcome.retry is not None and outcome.ended_by is None:  # the Retry was caught, or never raised
        settle.retry(task, outcome)
        raise Retry(exc=error) from error
    final = (PermanentError, *task.throws, *(getattr(task, "dont_autoretry_for", None) or ()))
    pause = retries.pause(task.request)
    if outcome.ended_by is not None or isinstance(error, final) or pause is None:
        return
    if registry.is_of_the_call(task, task.request.args or (), task.request.kwargs or {}, error):  # as it would be at each attempt
        return
    outcome.retry = {"error": error, "traceback": sys.exc_info()[2], "delay": pause}
    settle.retry(task, outcome)
    raise Retry(exc=error, when=pause) from error
