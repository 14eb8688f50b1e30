"""The hooks of a task's class run within the time limit of its job: one that hangs would keep its slot."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import celery

AFTER_THE_BODY: Final = ("on_success", "on_failure", "on_retry", "after_return")


def limit(cls: type) -> None:
    """See to those that a bound class has, whoever gave them to it: its bases, an option, an annotation."""
    for name in AFTER_THE_BODY:
        if getattr(cls, name) is not getattr(celery.Task, name):
            own = inspect.getattr_static(cls, name)
            if not getattr(own, "is_limited", False):
                setattr(cls, name, _limited(name, own))


def _limited(name: str, own: Any) -> Callable[..., Any]:
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = own.__get__(self, type(self)) if hasattr(own, "__get__") else own
        outcome = getattr(self.request, "__dict__", {}).get("outcome")
        if outcome is None:
            return bound(*args, **kwargs)
        from jobs.celery_app import running  # only a worker needs it

        return running.hook(self, outcome, name, lambda: bound(*args, **kwargs))

    if callable(own):
        hook = wraps(own)(hook)
    hook.is_limited = True  # type: ignore[attr-defined]
    return hook
