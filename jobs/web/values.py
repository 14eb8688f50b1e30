"""JSON values as people read them."""

from typing import Any

from django.utils.translation import gettext as _

from jobs import masking
from jobs.domain.readable import dumps, encodable, loads
from jobs.domain.typed import plain


def pretty(value: Any) -> str:
    """JSON on indented lines, with letters of all languages as they are."""
    return dumps(plain(value), indent=2)


def call_line(kwargs: str) -> str:
    """Named arguments, given as JSON, as they stand in a call: on one line, without secrets."""
    try:
        found = masking.named(loads(kwargs))
    except ValueError:
        return _("(cannot be read)")
    if not isinstance(found, dict):  # a plain INSERT may have put anything there
        return one_line(found)
    return " ".join(f"{encodable(name)}={dumps(value)}" for name, value in found.items())[:300]


def one_line(value: Any) -> str:
    """JSON on one line, at most 300 characters."""
    return dumps(plain(value))[:300]
