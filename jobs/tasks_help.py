"""What people read about the built-in job types: the first line of each docstring, and its arguments."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from pydantic import Field

# The forms translate a docstring's first line with gettext; here it is marked for the collection of texts.
FIRST_LINES = (
    gettext_noop("Sleep for a number of seconds, to try priorities and slots."),
    gettext_noop("Fail each time, to try retries and the dead letter queue."),
    gettext_noop("Fail a number of times, then succeed, to try retries."),
    gettext_noop("Send one HTTP request; a status of 400 or more is a failure."),
    gettext_noop("Send one e-mail as plain text."),
    gettext_noop("Run one of the allowed management commands."),
)


def argument(label: Any, help_text: Any = None, **limits: Any) -> Any:
    """The label, the help and the limits of one argument; the texts are translated when they are shown."""
    return Field(title=label, description=help_text, **limits)


SECONDS = argument(_("Seconds"), _("How long it sleeps: 0 to 86400."), ge=0, le=86_400)
MESSAGE = argument(_("Message"), _("The text of the error."))
FAILURES = argument(_("Failures"), _("How many runs fail before one succeeds."), ge=0)
URL = argument(_("Address"), _("http:// or https://; private addresses are refused."))
METHOD = argument(_("Method"), _("GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS."))
HEADERS = argument(_("Headers"), _("A JSON object of names and values."))
BODY = argument(_("Body"))
TO = argument(_("To"), _("One address, or several with commas between them."))
SUBJECT = argument(_("Subject"))
TEXT = argument(_("Text"))
COMMAND = argument(_("Command"), _("One of the names in JOBS_ALLOWED_COMMANDS."))
COMMAND_ARGS = argument(_("Arguments"), _("A JSON list of texts, as on the command line."))
