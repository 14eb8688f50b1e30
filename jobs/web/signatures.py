"""What a task does and how it is called, written for people."""

import inspect
from typing import Any

from django.utils.translation import gettext as _


def about(task: Any) -> str:
    """The first line of the task's docstring, translated when it has a translation; "" for none."""
    first = (getattr(task, "__doc__", "") or "").strip().partition("\n")[0]
    return _(first) if first else ""


class _Said(str):
    """Stands in a signature as it is, without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def readable(signature: inspect.Signature) -> str:
    """The signature in one line.

    >>> def task(name: str, args: list[str] | None = None, *, where: Any = object()) -> dict[str, Any]: ...
    >>> readable(inspect.signature(task))
    '(name: str, args: list[str] | None = None, *, where: Any = ...) -> dict[str, Any]'
    """
    parameters = [p.replace(annotation=_type(p.annotation), default=_default(p.default)) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=_type(signature.return_annotation)))


def _type(hint: Any) -> Any:
    if hint is inspect.Parameter.empty:
        return hint
    if hint is type(None):
        return None
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint).replace("typing.", "")
    return _Said(_without_places(text))


def _default(value: Any) -> Any:
    return value if value is inspect.Parameter.empty else _Said(_without_places(repr(value)))


def _without_places(text: str) -> str:
    """What has no text of its own is shown by its place in memory, which says nothing."""
    return "..." if " at 0x" in text else text
