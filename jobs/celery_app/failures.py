"""What is kept of an exception: in the attempt, in the dead letter, and for who asks for the result."""

import logging
import pickle
import sys
import traceback as tracebacks
from contextlib import suppress
from dataclasses import replace
from typing import Any

from celery import states
from celery.exceptions import Retry

from jobs.celery_app import meta
from jobs.celery_app.body import is_from_outside
from jobs.celery_app.encoding import text as encoded
from jobs.domain.errors import JobTimeout
from jobs.domain.outcomes import Outcome as Ending
from jobs.store.transitions import Failure

logger = logging.getLogger("jobs.worker")


class _Unreadable(Exception):
    """Stands for an exception that cannot be looked at, in a class of that one's name."""

    original: type[BaseException] | None = None

    def __reduce__(self) -> Any:
        return _stand_in, (type(self).__name__, type(self).__module__, str(self))


def _stand_in(name: str, module: str, text: str, original: type[BaseException] | None = None) -> _Unreadable:
    made: _Unreadable = type(name, (_Unreadable,), {"__module__": module, "original": original})(text)
    return made


def of(error: BaseException, trace: Any = None) -> Failure:
    """Its class, text and traceback; `trace`: the traceback, as text or as one that Python holds."""
    text = trace if isinstance(trace, str) else _traceback(error, trace)
    ending = Ending.TIMED_OUT if issubclass(type(error), JobTimeout) else Ending.FAILED
    return Failure(error_class=type(error).__name__, message=message(error), traceback=text, outcome=ending)


def given(asked: Any) -> BaseException | None:
    """What `retry(exc=)` was given as an exception: a class is called, unless it wants arguments; whatever else it is has a text."""
    if issubclass(type(asked), type) and issubclass(asked, BaseException):
        try:
            return readable(asked())
        except Exception:  # whatever its __init__ raises
            return RuntimeError(asked.__qualname__)
    if asked is None:
        return None
    return readable(asked) if issubclass(type(asked), BaseException) else RuntimeError(message(asked))


def readable(error: BaseException) -> BaseException:
    """The error itself, or one that says the same where that cannot be looked at: a __getattr__ of its own without an end, say.

    Celery, `traceback` and we ask an exception for more than its text, and a run must reach its end whatever that raises. One that is
    unreadable by what it came from alone loses that.
    """
    if _is_readable(error):
        return error
    with suppress(Exception):
        error.__cause__ = error.__context__ = None
        if _is_readable(error):
            return error
    made = _stand_in(type(error).__name__, type(error).__module__, message(error), type(error))
    with suppress(Exception):
        return made.with_traceback(vars(BaseException)["__traceback__"].__get__(error))
    return made


def _is_readable(error: BaseException) -> bool:
    try:
        tracebacks.format_exception(error)
        bool(error)
        _ = error.__class__, error.args, error.__cause__, error.__context__, error.__traceback__
        for ask in (repr, str, lambda error: encoded(error.args), lambda error: pickle.loads(pickle.dumps(error))):
            with suppress(Exception):  # that is expected everywhere
                ask(error)
    except BaseException as odd:
        if is_from_outside(odd):
            raise
        return False
    return True


def kind(error: BaseException) -> type[BaseException]:
    """The class that the task has raised."""
    return (isinstance(error, _Unreadable) and error.original) or type(error)


def _traceback(error: BaseException, trace: Any) -> str:
    try:
        return "".join(tracebacks.format_exception(type(error), error, trace or error.__traceback__))
    except BaseException as odd:  # also of an exception that this one came from
        if is_from_outside(odd):
            raise
        return f"{type(error).__name__}: {message(error)}\n"


def message(error: Any) -> str:
    """Its text, as a plain str, or what Python says of any object."""
    try:
        return str.__str__(str(error))
    except BaseException as odd:  # a __str__ of the task's own may raise; the job still needs its message
        if is_from_outside(odd):
            raise
        return object.__repr__(error)


def in_ascii(failure: Failure) -> Failure:
    """The same with every other letter escaped, for a database whose encoding lacks it."""
    texts = {name: getattr(failure, name).encode("ascii", "backslashreplace").decode() for name in ("error_class", "message", "traceback")}
    return replace(failure, **texts)


def plain(error: BaseException) -> dict[str, Any]:
    """As Celery encodes an exception, with its text in the place of its arguments."""
    return {"exc_type": type(error).__qualname__, "exc_message": [message(error)], "exc_module": type(error).__module__}


def kept(outcome: Any, error: BaseException | None, failure: Failure, traceback: str) -> str | None:
    """What AsyncResult will say of a failure; None when that cannot be written: the failure's own class and text say it then."""
    task = outcome.task
    try:
        if error is None:
            return meta.failure(None, traceback, None)
        encoded = task.app.backend.encode_result(error, states.FAILURE)
        return meta.failure(encoded, traceback, task.app.backend.current_task_children(task.request))
    except BaseException as odd:  # whatever it is: the run must reach its end
        if is_from_outside(odd):
            raise
        logger.exception("job %s: its failure (%s) is kept as text only", outcome.run.id, failure.error_class)
        return None


def retry_traceback(failure: Failure) -> str:
    """Celery's, which ends with the Retry: from its text people read when the next try is."""
    return tracebacks.format_exc() if isinstance(sys.exception(), Retry) else failure.traceback
