"""The built-in job types."""

import io
import re
import time
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from celery import Task, shared_task
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.core.validators import validate_email

from jobs import tasks_help as about
from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.domain.errors import JobError, PermanentError
from jobs.domain.texts import printable

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OUTPUT_CHARACTERS: Final = 65_536  # of a command, kept in the result
WORTH_ANOTHER_TRY: Final = (408, 429)
LONGEST_SLEEP: Final = 86_400.0  # seconds
_HEADER: Final = re.compile(r"[!-9;-~][ -9;-~]*")
_HEADER_VALUE: Final = re.compile(r"(?:(?=\S)[\x00-\x09\x0b\x0c\x0e-\xff]+)?")


class DeliberateFailure(JobError):
    """This job fails on purpose."""


class RequestFailed(JobError):
    """The server answered with an error that may pass."""


# What the tasks refuse for ever, `enqueue()` and the forms refuse too: the annotations name these checks.


def _check_method(method: str) -> None:
    if method.upper() not in METHODS:
        raise PermanentError(own_failures.WRONG_METHOD % {"methods": ", ".join(METHODS)})


def _check_url(url: str) -> None:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        raise PermanentError(own_failures.NO_URL % {"address": url}) from None
    if scheme not in ("http", "https"):
        raise PermanentError(own_failures.WRONG_SCHEME)


def _check_headers(headers: Any) -> None:
    """Names the header alone: what would send it shows its value too, which may be secret."""
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not (_HEADER.fullmatch(name) and isinstance(value, str) and _HEADER_VALUE.fullmatch(value)):
            raise PermanentError(own_failures.WRONG_HEADER % {"name": printable(name)})


def recipients(to: str) -> list[str]:
    """The addresses in a text with commas between them."""
    return [address.strip() for address in to.split(",") if address.strip()]


def _check_recipients(to: str) -> None:
    if not recipients(to):
        raise PermanentError(own_failures.NO_RECIPIENT)
    for address in recipients(to):
        try:
            validate_email(address)
        except ValidationError:
            raise PermanentError(own_failures.NO_ADDRESS % {"address": address}) from None


def _check_subject(subject: str) -> None:
    if "\n" in subject or "\r" in subject:
        raise PermanentError(own_failures.LONG_SUBJECT)


def _check_command(name: str) -> None:
    if name not in configuration().allowed_commands:
        raise PermanentError(own_failures.NOT_ALLOWED % {"name": name})


@shared_task(name="jobs.tasks.sleep")
def sleep(seconds: Annotated[float, about.SECONDS, Ge(0), Le(86_400)]) -> None:
    """Sleep for a number of seconds, to try priorities and slots."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_SLEEP:
        raise PermanentError(own_failures.WRONG_SECONDS)
    time.sleep(seconds)


@shared_task(name="jobs.tasks.fail")
def fail(message: Annotated[str, about.MESSAGE] = own_failures.ON_PURPOSE) -> None:
    """Fail every time, to try retries and the dead letter queue."""
    raise DeliberateFailure(message)


@shared_task(name="jobs.tasks.flaky", bind=True)
def flaky(self: Task, failures: Annotated[int, about.FAILURES, Ge(0)]) -> int:
    """Fail a number of times, then succeed, to try retries."""
    if self.request.retries < failures:
        raise DeliberateFailure(own_failures.ONE_OF_THE_FAILURES % {"number": self.request.retries + 1, "failures": failures})
    return int(self.request.retries)


@shared_task(name="jobs.tasks.http_request")
def http_request(
    url: Annotated[str, about.URL, about.Checked(_check_url)],
    method: Annotated[str, about.METHOD, about.Checked(_check_method)] = "GET",
    headers: Annotated[dict[str, str] | None, about.HEADERS, about.Checked(_check_headers)] = None,
    body: Annotated[str, about.BODY] = "",
) -> dict[str, Any]:
    """Send one HTTP request; a status of 400 or more is a failure."""
    method = method.upper()
    _check_method(method)
    _check_url(url)
    _check_headers(headers)
    from jobs.http_client import send  # a worker that sends none need not hold the libraries in memory

    answer = send(method, url, headers, body)
    _raise_for_status(answer)
    return answer


@shared_task(name="jobs.tasks.send_email")
def send_email(
    to: Annotated[str, about.TO, about.Checked(_check_recipients)],
    subject: Annotated[str, about.SUBJECT, about.Checked(_check_subject)],
    body: Annotated[str, about.TEXT] = "",
) -> dict[str, Any]:
    """Send one email as plain text."""
    _check_recipients(to)
    _check_subject(subject)
    addresses = recipients(to)
    return {"sent": EmailMessage(subject=subject, body=body, to=addresses).send(), "to": addresses}


@shared_task(name="jobs.tasks.management_command")
def management_command(
    name: Annotated[str, about.COMMAND, about.Checked(_check_command)],
    args: Annotated[list[str] | None, about.COMMAND_ARGS] = None,
) -> str:
    """Run one of the allowed management commands."""
    _check_command(name)
    output = io.StringIO()
    try:
        call_command(name, *(args or []), stdout=output, stderr=output, no_color=True)
    except SystemExit as error:  # a command may end its process; here that would be the worker's
        raise JobError(own_failures.COMMAND_ENDED % {"code": error.code}) from None
    return output.getvalue()[-OUTPUT_CHARACTERS:]


def _raise_for_status(answer: dict[str, Any]) -> None:
    status = answer["status"]
    if status < 400:
        return
    message = own_failures.ANSWERED % {"status": status, "body": answer["body"][:500]}
    if status < 500 and status not in WORTH_ANOTHER_TRY:
        raise PermanentError(message)
    raise RequestFailed(message)
