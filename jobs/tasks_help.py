"""What people read about the built-in job types: the first line of each docstring, and its arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from jobs.conf import configuration
from jobs.domain.errors import PermanentError

# The forms translate a docstring's first line with gettext; here it is marked for the collection of texts.
FIRST_LINES = (
    gettext_noop("Sleep for a number of seconds, to try priorities and slots."),
    gettext_noop("Fail every time, to try retries and the dead letter queue."),
    gettext_noop("Fail a number of times, then succeed, to try retries."),
    gettext_noop("Send one HTTP request; a status of 400 or more is a failure."),
    gettext_noop("Send one email as plain text."),
    gettext_noop("Run one of the allowed management commands."),
)


@dataclass(frozen=True)
class Argument:
    """The label and the help of one argument, for an annotation; the texts are translated when they are shown.

    What `pydantic.Field(title=…, description=…)` would say, without pydantic in the memory of every worker.
    """

    label: Any
    help_text: Any = None

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = dict(handler(core_schema))
        schema["title"] = str(self.label)
        if self.help_text is not None:
            schema["description"] = str(self.help_text)
        return schema


@dataclass(frozen=True)
class Checked:
    """An annotation: the value has to pass what the task asks of it, which raises PermanentError."""

    check: Callable[[Any], None]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._passed, handler(source))

    def _passed(self, value: Any) -> Any:
        try:
            self.check(value)
        except PermanentError as error:
            raise ValueError(str(error)) from error
        return value


class _Commands:
    """The help of a command's name, with the names that are allowed when it is read."""

    def __str__(self) -> str:
        names = configuration().allowed_commands
        if not names:
            return gettext("None is allowed: JOBS_ALLOWED_COMMANDS is empty.")
        return gettext("One of the names in JOBS_ALLOWED_COMMANDS: %(names)s.") % {"names": "\u2066" + ", ".join(names) + "\u2069"}


SECONDS = Argument(_("Seconds"), _("How long it sleeps: 0 to 86400."))
MESSAGE = Argument(_("Message"), _("The text of the error."))
FAILURES = Argument(_("Failures"), _("How many runs fail before one succeeds."))
URL = Argument(_("Address"), _("http:// or https://; private addresses are refused."))
METHOD = Argument(_("Method"), _("GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS."))
HEADERS = Argument(_("Headers"), _("A JSON object of names and values."))
BODY = Argument(_("Body"))
TO = Argument(_("To"), _("One address, or several separated by commas."))
SUBJECT = Argument(_("Subject"))
TEXT = Argument(_("Text"))
COMMAND = Argument(_("Command"), _Commands())
COMMAND_ARGS = Argument(_("Arguments"), _("A JSON list of strings, as on the command line."))
