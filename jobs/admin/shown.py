"""Values as people read them in the admin: code from left to right, names and errors in their own direction."""

from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from jobs import masking
from jobs.domain import own_failures
from jobs.models import Job
from jobs.web import values
from jobs.web.tags import visible

NAME_LENGTH = 60


def code(text: Any) -> SafeString | str:
    """A traceback, an error or other program text without secrets; "-" when there is none."""
    return _code(masking.text(str(text))) if text else "-"


def _code(text: str, direction: str = "ltr") -> SafeString:
    return format_html('<pre class="code" dir="{}" tabindex="0">{}</pre>', direction, text)


def error(text: str) -> SafeString | str:
    """An error's text without secrets, one of our own in the language of now; "-" when there is none."""
    said = own_failures.said(text)
    return _code(masking.text(said), "auto") if said else "-"


def column(job: Job, name: str) -> SafeString | str:
    """A JSON column on indented lines, without secrets; "-" for none."""
    found = values.shown(job, name)
    if found.value is None:
        return "-"
    return format_html("{}<p>{}</p>", _code(found.text), found.note) if found.note else _code(found.text)


def name(text: str) -> SafeString:
    """A name that people typed, cut to a width that leaves the list its other columns."""
    return format_html('<bdi dir="auto">{}</bdi>', Truncator(visible(masking.start(text, 10 * NAME_LENGTH))).chars(NAME_LENGTH))
