"""The built-in job types."""

import io
import time
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from celery import Task, shared_task
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from jobs import tasks_help as about
from jobs.conf import configuration
from jobs.domain.errors import JobError, PermanentError

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OUTPUT_CHARACTERS: Final = 65_536  # of a command, kept in the result
WORTH_ANOTHER_TRY: Final = (408, 429)
LONGEST_SLEEP: Final = 86_400.0  # seconds


class DeliberateFailure(JobError):
    """This job fails on purpose."""


class RequestFailed(JobError):
    """The server answered with an error that may pass."""


@shared_task(name="jobs.tasks.sleep")
def sleep(seconds: Annotated[float, about.SECONDS, Ge(0), Le(86_400)]) -> None:
    """Sleep for a number of seconds, to try priorities and slots."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_SLEEP:
        raise PermanentError(_("seconds must be a number from 0 to 86400"))
    time.sleep(seconds)


@shared_task(name="jobs.tasks.fail")
def fail(message: Annotated[str, about.MESSAGE] = "This job fails on purpose.") -> None:
    """Fail each time, to try retries and the dead letter queue."""
    raise DeliberateFailure(message)


@shared_task(name="jobs.tasks.flaky", bind=True)
def flaky(self: Task, failures: Annotated[int, about.FAILURES, Ge(0)]) -> int:
    """Fail a number of times, then succeed, to try retries."""
    if self.request.retries < failures:
        raise DeliberateFailure(_("failure %(number)d of %(failures)d") % {"number": self.request.retries + 1, "failures": failures})
    return int(self.request.retries)


@shared_task(name="jobs.tasks.http_request")
def http_request(
    url: Annotated[str, about.URL],
    method: Annotated[str, about.METHOD] = "GET",
    headers: Annotated[dict[str, str] | None, about.HEADERS] = None,
    body: Annotated[str, about.BODY] = "",
) -> dict[str, Any]:
    """Send one HTTP request; a status of 400 or more is a failure."""
    method = method.upper()
    if method not in METHODS:
        raise PermanentError(_("the method must be one of %(methods)s") % {"methods": ", ".join(METHODS)})
    if urlsplit(url).scheme not in ("http", "https"):
        raise PermanentError(_("the address must begin with http:// or https://"))
    from jobs.http_client import send  # a worker that sends none need not hold the libraries in memory

    answer = send(method, url, headers, body)
    _raise_for_status(answer)
    return answer


@shared_task(name="jobs.tasks.send_email")
def send_email(
    to: Annotated[str, about.TO],
    subject: Annotated[str, about.SUBJECT],
    body: Annotated[str, about.TEXT] = "",
) -> dict[str, Any]:
    """Send one e-mail as plain text."""
    recipients = [address.strip() for address in to.split(",") if address.strip()]
    if not recipients:
        raise PermanentError(_("an e-mail needs an address"))
    for address in recipients:
        try:
            validate_email(address)
        except ValidationError:
            raise PermanentError(_("%(address)s is not an e-mail address") % {"address": address}) from None
    if "\n" in subject or "\r" in subject:
        raise PermanentError(_("a subject must be one line"))
    return {"sent": EmailMessage(subject=subject, body=body, to=recipients).send(), "to": recipients}


@shared_task(name="jobs.tasks.management_command")
def management_command(name: Annotated[str, about.COMMAND], args: Annotated[list[str] | None, about.COMMAND_ARGS] = None) -> str:
    """Run one of the allowed management commands."""
    if name not in configuration().allowed_commands:
        raise PermanentError(_("the command %(name)s is not in JOBS_ALLOWED_COMMANDS") % {"name": name})
    output = io.StringIO()
    try:
        call_command(name, *(args or []), stdout=output, stderr=output, no_color=True)
    except SystemExit as error:  # a command may end its process; here that would be the worker's
        raise JobError(_("the command ended with code %(code)s") % {"code": error.code}) from None
    return output.getvalue()[-OUTPUT_CHARACTERS:]


def _raise_for_status(answer: dict[str, Any]) -> None:
    status = answer["status"]
    if status < 400:
        return
    message = _("the server answered %(status)d: %(body)s") % {"status": status, "body": answer["body"][:500]}
    if status < 500 and status not in WORTH_ANOTHER_TRY:
        raise PermanentError(message)
    raise RequestFailed(message)
