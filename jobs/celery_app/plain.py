"""Calls with arguments and nothing else, which is what nearly all are.

Celery spends more on such a call than PostgreSQL does on its row, to arrive at the same result each time but for the
arguments and the id. So the row that Celery's own way has made of the first call is kept, and the next calls copy it.
Whatever could make the next row another one forgets the kept row, or sends the call down Celery's way.
"""

import os
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final

import celery
from celery import signals
from django.core.signals import setting_changed

from jobs.celery_app import sending
from jobs.store.insert import Copies, NewJob


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes copies of the row of a call, and what that was made under."""

    copies: Copies
    ignored: bool | None
    conf: Any
    changes: dict[str, Any]
    made_under: tuple[Any, ...]


_shapes: dict[str, Shape] = {}
_WAY: Final = ((celery.Task, "apply_async"), (celery.Celery, "send_task"))
_SENDER: Final = "jobs.celery_app.amqp"  # another's is a mock too, or a library's
_own: list[Any] = [None, None]  # what was found there and is Celery's own


def _forget(**_: Any) -> None:
    _shapes.clear()


setting_changed.connect(_forget)


def _made_under(task: Any) -> tuple[Any, ...]:
    return (os.getpid(), task.max_retries, getattr(task, "timeout", None), task.ignore_result)


def is_alike(app: Any, task: Any) -> bool:
    """Whether nothing about this moment or this task asks for Celery's way: no receiver, no parent, no code of its own.

    The configuration is not asked here (10 microseconds a value): under another one no kept row holds.
    """
    return not (
        signals.before_task_publish.receivers
        or signals.after_task_publish.receivers
        or _is_patched()
        or app.current_worker_task is not None
        or sending.cursor_here() is not None
        or type(app).send_task is not celery.Celery.send_task
        or "send_task" in vars(app)  # a mock, in a test
        or getattr(app.amqp.send_task_message, "__module__", None) != _SENDER
        or type(task).shadow_name is not celery.Task.shadow_name
        or getattr(task, "_dump_pydantic_arguments", None) is not None
    )


def _is_patched() -> bool:
    """Whether a library has put its own function around Celery's (sentry-sdk, ddtrace, New Relic): it adds headers to each call."""
    found = [celery.Task.apply_async, celery.Celery.send_task]
    if found[0] is _own[0] and found[1] is _own[1]:
        return False
    for owner, name in _WAY:
        method = vars(owner)[name]
        if type(method) is not FunctionType or method.__globals__.get("__name__") != owner.__module__:
            return True
    _own[:] = found
    return False


def is_mocked() -> bool:
    """Whether a test's mock stands there, which is to see what its code has given and no more; a library's function is none."""
    return _is_patched() and any(hasattr(vars(owner)[name], "assert_called_once_with") for owner, name in _WAY)


def shape_of(app: Any, task: Any) -> Shape | None:
    """The kept row, None when there is none that still holds."""
    shape = _shapes.get(task.name)
    if shape is None or shape.conf is not app.conf or shape.changes != shape.conf.changes or shape.made_under != _made_under(task):
        return None
    return shape


def keep(app: Any, task: Any, new: NewJob, ignored: bool | None) -> None:
    """Keep the row that Celery's way has made; not where routes may look at the arguments or the clock is in the row."""
    if (
        app.conf.task_routes
        or app.conf.task_send_sent_event
        or new.run_at is not None
        or task._get_exec_options().get("expires") is not None
    ):
        return
    _shapes[task.name] = Shape(Copies(new), ignored, app.conf, dict(app.conf.changes), _made_under(task))
