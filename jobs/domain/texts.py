"""What a text of a row may be, and the name of a queue; texts of others as a terminal may show them."""

import unicodedata
from typing import Any, Final

from django.utils.translation import gettext as _

NAME_LIMIT: Final = 255
# Characters that turn the direction of what follows: they could make one job's name read as another's.
_OVERRIDES: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS: Final = "\u200c\u200d"  # by which letters of Arabic scripts are written


def wrong_text(value: Any, limit: int = NAME_LIMIT) -> str:
    """Why no row can have it; "" when one can."""
    if not isinstance(value, str):
        return _("This must be text.")
    if "\0" in value:
        return _("Null characters are not allowed.")
    if not _is_encodable(value):
        return _("This text cannot be written as UTF-8.")
    if _OVERRIDES & set(value):
        return _("Characters that override the text direction are not allowed.")
    if len(value) > limit:
        return _("At most %(limit)d characters; this has %(length)d.") % {"limit": limit, "length": len(value)}
    return ""


def wrong_queue(name: Any) -> str:
    """Why no queue may be called so; "" when one may."""
    if wrong := wrong_text(name, 100):
        return wrong
    if not name.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in name):
        return _("Control characters are not allowed.")
    return "" if name.strip() else _("Name a queue.")


def printable(text: str) -> str:
    """What somebody else chose, for a terminal or a log: what it would obey, or nobody would see, as escapes.

    >>> printable("a\\x1b[31mb\\nج")
    'a\\\\x1b[31mb\\\\nج'
    """
    return "".join(letter if letter.isprintable() or letter in _JOINERS else ascii(letter)[1:-1] for letter in text)


def _is_encodable(text: str) -> bool:
    """False with half a surrogate pair, which is also what Python makes of a byte in a command line that is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
