"""Why arguments do not fit a task in number and names: Python's words, in the language of whoever reads them."""

import re
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

_NAME: Final = r"'(?P<name>.*)'"
_CASES: Final[list[tuple[re.Pattern[str], Promise]]] = [
    (re.compile(f"missing a required (?:[a-z-]+ )?argument: {_NAME}"), gettext_lazy("the argument %(name)s is missing")),
    (re.compile(f"got an unexpected keyword argument {_NAME}"), gettext_lazy("it has no argument %(name)s")),
    (re.compile(f"multiple values for argument {_NAME}"), gettext_lazy("the argument %(name)s is given twice")),
    (re.compile("too many positional arguments"), gettext_lazy("there are too many positional arguments")),
]


def said(text: str) -> str:
    """What `inspect.Signature.bind()` complains of, in the language of now; its own words where they are none of the usual."""
    for pattern, sentence in _CASES:
        if found := pattern.fullmatch(text):
            return str(sentence) % {key: f"\u2066{value}\u2069" for key, value in found.groupdict().items()}
    return text
