"""Tasks with exceptions that raise when somebody looks at them."""

from typing import Any

from celery import shared_task
from celery.exceptions import Reject


def _raises(kind: type[BaseException]) -> Any:
    def method(*_: Any) -> Any:
        raise kind(1)

    return method


# What an exception of a task's own may do when somebody looks at it.
UNREADABLE: dict[str, dict[str, Any]] = {
    "an attribute without an end": {"__getattr__": lambda self, name: getattr(self.response, name)},
    "every attribute": {"__getattribute__": _raises(ValueError)},
    "its class": {"__class__": property(_raises(ValueError))},
    "its traceback": {"__traceback__": property(_raises(ValueError), lambda *_: None)},
    "its cause": {"__cause__": property(_raises(ValueError))},
    "its truth": {"__bool__": _raises(ValueError)},
    "its notes": {"__notes__": property(_raises(ValueError))},
    "its arguments": {"args": property(_raises(ValueError))},
    "its text, as an exit": {"__str__": _raises(SystemExit)},
    "its other text, as an exit": {"__repr__": _raises(SystemExit)},
    "its pickle, as an exit": {"__reduce_ex__": _raises(SystemExit)},
}


def unreadable(how: str) -> Exception:
    """An exception of its own class, which raises where somebody asks for that of it."""
    return type("Unreadable", (Exception,), UNREADABLE[how])("no response")


@shared_task(name="t.unreadable", bind=True, max_retries=1)
def raises_unreadable(self: Any, how: str, asks: bool = False) -> None:
    if asks:
        raise self.retry(exc=unreadable(how), countdown=0)
    raise unreadable(how)


@shared_task(name="t.meets_unreadable", bind=True, max_retries=1, default_retry_delay=0)
def meets_unreadable(self: Any, how: str, way: str) -> None:
    """Ends by something else, which comes from such an exception."""
    try:
        raise unreadable(how)
    except Exception as error:
        if way == "retry":
            raise self.retry()  # noqa: B904 - as people write it
        if way == "reject":
            raise Reject(error, requeue=False)  # noqa: B904
        raise LookupError("nothing found")  # noqa: B904
