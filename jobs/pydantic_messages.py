"""Pydantic's errors in the visitor's language."""

import re
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
    "enum": gettext_lazy("Choose one of: %(expected)s."),
    "union_tag_invalid": gettext_lazy("Choose one of: %(expected_tags)s."),
    "union_tag_not_found": gettext_lazy("The object must state its kind: %(discriminator)s."),
    "multiple_of": gettext_lazy("Enter a multiple of %(multiple_of)s."),
    "decimal_max_digits": gettext_lazy("Enter at most %(max_digits)s digits."),
    "decimal_max_places": gettext_lazy("Enter at most %(decimal_places)s digits after the decimal point."),
    "decimal_whole_digits": gettext_lazy("Enter at most %(whole_digits)s digits before the decimal point."),
    "too_short": gettext_lazy("Enter at least %(min_length)s items."),
    "too_long": gettext_lazy("Enter at most %(max_length)s items."),
    "bytes_too_short": gettext_lazy("Enter at least %(min_length)s bytes."),
    "bytes_too_long": gettext_lazy("Enter at most %(max_length)s bytes."),
    "string_pattern_mismatch": gettext_lazy("Enter text that matches the pattern %(pattern)s."),
    "pattern_regex": gettext_lazy("Enter a valid regular expression."),
    "date_past": gettext_lazy("Enter a date in the past."),
    "datetime_past": gettext_lazy("Enter a date in the past."),
    "date_future": gettext_lazy("Enter a date in the future."),
    "datetime_future": gettext_lazy("Enter a date in the future."),
    "time_delta_type": gettext_lazy("Enter a duration, such as 01:30:00."),
    "time_delta_parsing": gettext_lazy("Enter a duration, such as 01:30:00."),
    "timezone_naive": gettext_lazy("Enter a time without a time zone."),
    "timezone_aware": gettext_lazy("Enter a time with its time zone."),
    "frozen_dict_type": gettext_lazy('Enter an object, as JSON: {"name": 1}.'),
    "none_required": gettext_lazy("Only null is allowed here."),
    "invalid_key": gettext_lazy("The names in the object must be text."),
    "predicate_failed": gettext_lazy("The task does not accept this value."),
}
_KINDS: Final[Mapping[str, Promise]] = {
    "int": gettext_lazy("Enter a whole number."),
    "float": gettext_lazy("Enter a number."),
    "bool": gettext_lazy("Choose yes or no."),
    "string": gettext_lazy("Enter text."),
    "list": gettext_lazy("Enter a list, as JSON: [1, 2]."),
    "dict": gettext_lazy('Enter an object, as JSON: {"name": 1}.'),
    "date": gettext_lazy("Enter a valid date."),
    "datetime": gettext_lazy("Enter a valid date and time."),
    "url": gettext_lazy("Enter a valid address."),
    "time": gettext_lazy("Enter a valid time."),
    "timezone": gettext_lazy("Enter a time in the right time zone."),
    "decimal": gettext_lazy("Enter a number."),
    "fraction": gettext_lazy("Enter a fraction, such as 1/3."),
    "complex": gettext_lazy("Enter a complex number, such as 1+2j."),
    "uuid": gettext_lazy("Enter a valid UUID."),
    "bytes": gettext_lazy("Enter text."),
    "json": gettext_lazy("Enter valid JSON."),
    "ip": gettext_lazy("Enter a valid IP address."),
    "path": gettext_lazy("Enter a valid path."),
    **dict.fromkeys(("tuple", "set", "frozen", "deque", "iterable", "named"), gettext_lazy("Enter a list, as JSON: [1, 2].")),
    **dict.fromkeys(("mapping", "model", "dataclass", "ordered", "counter"), gettext_lazy('Enter an object, as JSON: {"name": 1}.')),
}
_OR: Final = re.compile(r"(?<=['\d]) or (?=['\d-])")  # between the last two values that may be chosen


def translate(problem: Mapping[str, Any]) -> str:
    """One of ValidationError.errors() as a sentence; a check's own, and pydantic's words only for a type nobody foresaw."""
    kind = str(problem["type"])
    if kind in ("value_error", "assertion_error"):
        return own_failures.said(str(problem.get("ctx", {}).get("error", problem["msg"])))
    text = _TEXTS.get(kind) or _KINDS.get(kind.partition("_")[0])
    if text is not None:
        return str(text) % {name: _number(value) for name, value in problem.get("ctx", {}).items()}
    return _("The value does not fit: %(reason)s") % {"reason": problem["msg"]}


def _number(value: Any) -> Any:
    """A limit as people write it: 86,400 for 86400.0; a choice in their language."""
    if isinstance(value, int | float):
        return f"{value:,}".removesuffix(".0")
    return _OR.sub(lambda _found: _(" or "), value) if isinstance(value, str) else value
