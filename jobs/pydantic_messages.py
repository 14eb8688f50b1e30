"""Pydantic's errors in the visitor's language."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.domain import own_failures

_TEXTS: Final[Mapping[str, Promise]] = {
    "missing": gettext_lazy("This field is required."),
    "extra_forbidden": gettext_lazy("The task has no such argument."),
    "greater_than": gettext_lazy("Enter a number greater than %(gt)s."),
    "greater_than_equal": gettext_lazy("Enter a number of at least %(ge)s."),
    "less_than": gettext_lazy("Enter a number less than %(lt)s."),
    "less_than_equal": gettext_lazy("Enter a number of at most %(le)s."),
    "string_too_short": gettext_lazy("Enter at least %(min_length)s characters."),
    "string_too_long": gettext_lazy("Enter at most %(max_length)s characters."),
    "literal_error": gettext_lazy("Choose one of: %(expected)s."),
    "finite_number": gettext_lazy("Enter a finite number."),
}
_KINDS: Final[Mapping[str, Promise]] = {
    "int": gettext_lazy("Enter a whole number."),
    "float": gettext_lazy("Enter a number."),
    "bool": gettext_lazy("Choose yes or no."),
    "string": gettext_lazy("Enter a text."),
    "list": gettext_lazy("Enter a list, as JSON: [1, 2]."),
    "dict": gettext_lazy('Enter an object, as JSON: {"name": 1}.'),
    "date": gettext_lazy("Enter a valid date."),
    "datetime": gettext_lazy("Enter a valid date and time."),
    "url": gettext_lazy("Enter a valid address."),
}


def translate(problem: Mapping[str, Any]) -> str:
    """One of ValidationError.errors() as a sentence; a check's own, and pydantic's words only for a type nobody foresaw."""
    kind = str(problem["type"])
    if kind == "value_error":
        return own_failures.said(str(problem["ctx"]["error"]))
    text = _TEXTS.get(kind) or _KINDS.get(kind.partition("_")[0])
    if text is not None:
        return str(text) % {name: _number(value) for name, value in problem.get("ctx", {}).items()}
    return _("The value does not fit: %(reason)s") % {"reason": problem["msg"]}


def _number(value: Any) -> Any:
    """A limit as people write it: 86,400 for 86400.0."""
    return f"{value:,}".removesuffix(".0") if isinstance(value, int | float) else value
