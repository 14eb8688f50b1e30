"""Errors of the verbs, and of a command's options, as one line."""

import re
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

_OPTIONS: Final = {  # what argparse says, which has no Arabic; anything else is said in its words
    r"argument (?P<option>[^:]+): invalid (?:int|float) value: '(?P<value>.*)'": gettext_noop("%(option)s is not a number: %(value)s"),
    r"argument (?P<option>[^:]+): expected one argument": gettext_noop("%(option)s needs a value"),
    r"argument (?P<option>[^:]+): invalid choice: '?(?P<value>.*?)'? \(choose from (?P<choices>.+)\)": gettext_noop(
        "%(option)s must be one of %(choices)s, not %(value)s"
    ),
    r"argument (?P<option>[^:]+): not allowed with argument (?P<other>.+)": gettext_noop(
        "%(option)s and %(other)s cannot be used together"
    ),
    r"the following arguments are required: (?P<names>.+)": gettext_noop("missing: %(names)s"),
    r"unrecognized arguments: (?P<names>.+)": gettext_noop("unknown: %(names)s"),
}


def one_line(error: ValidationError) -> str:
    """Each wrong field with its reasons."""
    if hasattr(error, "error_dict"):
        return "; ".join(f"{field}: {' '.join(reasons)}" for field, reasons in error.message_dict.items())
    return " ".join(error.messages)


def said_of_options(message: str) -> str:
    """What argparse says of a command line, in the reader's language. Of an option's spellings the first one."""
    for pattern, text in _OPTIONS.items():
        if found := re.fullmatch(pattern, message, re.DOTALL):
            parts = found.groupdict()
            parts |= {name: parts[name].split("/")[0] for name in ("option", "other") if name in parts}
            return " ".join((_(text) % parts).split())
    return " ".join(message.split())
