"""What is kept of an exception: in the attempt, in the dead letter, and for who asks for the result."""

import logging
import sys
import traceback as tracebacks
from dataclasses import replace
from typing import Any

from celery import states
from celery.exceptions import Retry

from jobs.celery_app import meta
from jobs.domain.errors import JobTimeout
from jobs.domain.outcomes import Outcome as Ending
from jobs.store.transitions import Failure

logger = logging.getLogger("jobs.worker")


def of(error: BaseException, trace: Any = None) -> Failure:
    """Its class, text and traceback; `trace`: the traceback, as text or as one that Python holds."""
    text = trace if isinstance(trace, str) else "".join(tracebacks.format_exception(type(error), error, trace or error.__traceback__))
    ending = Ending.TIMED_OUT if isinstance(error, JobTimeout) else Ending.FAILED
    return Failure(error_class=type(error).__name__, message=_message(error), traceback=text, outcome=ending)


def given(asked: Any) -> BaseException | None:
    """What `retry(exc=)` was given as an exception: a class is called, unless it wants arguments; whatever else it is has a text."""
    if isinstance(asked, type) and issubclass(asked, BaseException):
        try:
            return asked()
        except Exception:  # whatever its __init__ raises
            return RuntimeError(asked.__qualname__)
    return asked if asked is None or isinstance(asked, BaseException) else RuntimeError(_message(asked))


def _message(error: Any) -> str:
    try:
        return str(error)
    except Exception:  # a __str__ of the task's own may raise; the job still needs its message
        return object.__repr__(error)


def in_ascii(failure: Failure) -> Failure:
    """The same with every other letter escaped, for a database whose encoding lacks it."""
    texts = {name: getattr(failure, name).encode("ascii", "backslashreplace").decode() for name in ("error_class", "message", "traceback")}
    return replace(failure, **texts)


def plain(error: BaseException) -> dict[str, Any]:
    """As Celery encodes an exception, with its text in the place of its arguments."""
    return {"exc_type": type(error).__qualname__, "exc_message": [_message(error)], "exc_module": type(error).__module__}


def kept(outcome: Any, error: BaseException | None, failure: Failure, traceback: str) -> str | None:
    """What AsyncResult will say of a failure; None when that cannot be written: the failure's own class and text say it then."""
    task = outcome.task
    try:
        if error is None:
            return meta.failure(None, traceback, None)
        encoded = task.app.backend.encode_result(error, states.FAILURE)
        return meta.failure(encoded, traceback, task.app.backend.current_task_children(task.request))
    except Exception:  # whatever it is: the run must reach its end
        logger.exception("job %s: its failure (%s) is kept as text only", outcome.run.id, failure.error_class)
        return None


def retry_traceback(failure: Failure) -> str:
    """Celery's, which ends with the Retry: from its text people read when the next try is."""
    return tracebacks.format_exc() if isinstance(sys.exception(), Retry) else failure.traceback
