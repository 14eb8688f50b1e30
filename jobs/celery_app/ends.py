"""What a task's own code raises becomes the outcome of its run."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery.exceptions import Ignore, Reject, Retry

from jobs import registry
from jobs.celery_app import failures, retries, settle, terminated
from jobs.celery_app.body import is_from_outside
from jobs.domain.errors import JobCancelled, JobInterrupted, PermanentError, TaskEnded, TaskExit


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
        terminated.end(task, outcome)
        raise Ignore from None
    except Exception as error:  # whatever the task raises is its outcome
        _failed(task, outcome, error)
        raise
    except BaseException as error:  # the end of the task, not of its worker
        if is_from_outside(error):
            raise
        cause = failures.readable(error)
        ended = (TaskExit if issubclass(type(error), SystemExit) else TaskEnded)(f"{type(cause).__name__}: {failures.message(cause)}")
        _failed(task, outcome, ended)
        raise ended from cause


def _called(task: Any, outcome: Any, call: Callable[[], Any]) -> Any:
    try:
        return _asked(task, outcome, call)
    except (Ignore, Reject, Retry) as asked:
        if isinstance(asked, Reject) and issubclass(type(asked.reason), BaseException):
            asked.reason = failures.readable(asked.reason)
            asked.args = asked.reason, asked.requeue
        failures.readable(asked)  # it may have come from what is not
        raise
    except (JobCancelled, JobInterrupted):
        raise
    except Exception as raised:
        error = failures.readable(raised)
        if error is raised:
            raise
    raise error  # here, so that it does not come from the other


def _asked(task: Any, outcome: Any, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Retry as asked:
        if outcome.retry is None:  # raised by hand, or by another task that was called as a function
            when = {"eta": asked.when} if isinstance(asked.when, datetime) else {"countdown": asked.when}
            task.retry(exc=asked.exc, **when)  # raises
        raise


def _failed(task: Any, outcome: Any, error: Exception) -> None:
    """Retry when that was planned, or this job is retried on any exception; otherwise the failure settles in `task_failure`."""
    outcome.closing = True
    if outcome.retry is not None and outcome.ended_by is None:  # the Retry was caught, or never raised
        settle.retry(task, outcome)
        raise Retry(exc=error) from error
    final = (PermanentError, *task.throws, *(getattr(task, "dont_autoretry_for", None) or ()))
    pause = retries.pause(task.request)
    if outcome.ended_by is not None or issubclass(failures.kind(error), final) or pause is None:
        return
    if registry.is_of_the_call(task, task.request.args or (), task.request.kwargs or {}, error):  # as it would be at each attempt
        return
    outcome.retry = {"error": error, "traceback": sys.exc_info()[2], "delay": pause}
    settle.retry(task, outcome)
    raise Retry(exc=error, when=pause) from error
