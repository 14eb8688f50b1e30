"""Failures that we make ourselves: stored as an English sentence, as tasks' errors are, and read in the language of whoever looks."""

import re
from typing import Final

from django.utils.translation import gettext as _

_MANUAL: Final = "Turned into a failure by {} to try the Dead Letter Queue"
_STORED: Final = re.compile("((?:ManualFailure: )?)" + _MANUAL.format("(.*)"))  # as a message, or as a job's last error


def manual(name: str) -> str:
    """The message of a completed job which somebody of this name turned into a failed one."""
    return _MANUAL.format(name)


def said(text: str) -> str:
    """An error's text in the language of now where it is one of ours, isolated from the direction of its surroundings; else as it is."""
    found = _STORED.fullmatch(text)
    if found is None:
        return text
    sentence = _("Turned into a failure by %(name)s to try the Dead Letter Queue") % {"name": f"\u2068{found[2]}\u2069"}
    return f"{found[1]}\u2068{sentence}\u2069"
