"""The words and shapes for what people see."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from jobs.domain.statuses import State

# Characters that change the direction of what follows them, or that nobody can see.
HIDDEN: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u0000-\u0008\u000b-\u001f\u007f\ud800-\udfff]")
STATE_LABELS: Final[dict[State, Promise]] = {
    State.QUEUED: pgettext_lazy("state", "Queued"),
    State.SCHEDULED: pgettext_lazy("state", "Scheduled"),
    State.RETRYING: pgettext_lazy("state", "Retrying"),
    State.REPLACED: pgettext_lazy("state", "Replaced"),
    State.RUNNING: pgettext_lazy("state", "Running"),
    State.COMPLETED: pgettext_lazy("state", "Completed"),
    State.FAILED: pgettext_lazy("state", "Failed"),
    State.CANCELLED: pgettext_lazy("state", "Cancelled"),
}


def western(text: str) -> str:
    """The text with the digits of all scripts as 0 to 9, without spaces around it.

    >>> western(" ٤٧١١ ")
    '4711'
    """
    return "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in text.strip())


def at_most(number: int, most: int) -> str:
    """A count with separators that nobody made beyond `most`."""
    return f"{number:,}" if number <= most else _("over %(number)s") % {"number": f"{most:,}"}


def isolated(text: str) -> str:
    """What people typed, inside a sentence: on one line, without characters that would turn the sentence round."""
    return f"\u2068{HIDDEN.sub('', ' '.join(text.split()))}\u2069"


def listed(names: Iterable[object]) -> str:
    """Names inside a sentence, with the comma of its language between them."""
    return _(", ").join(map(str, names))


def ltr(text: str) -> str:
    """A command or a name inside a sentence of any direction: isolated, from left to right."""
    return f"\u2066{text}\u2069"
