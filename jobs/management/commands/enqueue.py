"""`manage.py enqueue TASK`: create jobs from the command line."""

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs import masking
from jobs.domain import own_failures
from jobs.domain.moments import aware
from jobs.domain.statuses import ENDED, Status
from jobs.domain.texts import printable
from jobs.enqueueing import enqueue, enqueue_many
from jobs.management import base
from jobs.management.messages import one_line
from jobs.models import Job
from jobs.models.job import STATUS_LABELS
from jobs.store import fresh
from jobs.store.clock import reckoned

PAST_ALLOWED = timedelta(minutes=1)  # what was "now" when the command was typed
LOOK = 0.2  # seconds
PART = 1_000  # jobs that are asked for at once
SHOWN = 20  # of those that did not complete
MOST = 1_000_000  # jobs of one call: they are one transaction


class Command(base.Command):
    """Prints the jobs' numbers, one a line."""

    help = gettext_noop("Create jobs of a task and print their numbers.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Exactly the contract's options."""
        parser.add_argument("task", metavar="TASK", help=gettext_noop("the registered name, such as jobs.tasks.sleep"))
        parser.add_argument("--name", default="", help=gettext_noop("a name for people to find the job by"))
        parser.add_argument("--args", dest="call_args", default="[]", metavar="JSON", help=gettext_noop("a JSON list"))
        parser.add_argument("--kwargs", default="{}", metavar="JSON", help=gettext_noop("a JSON object"))
        parser.add_argument("--priority", metavar="N", help=gettext_noop("0 to 9, 9 runs first (default: the task's own, else 5)"))
        parser.add_argument(
            "--max-retries", "--max_retries", metavar="N", default=3, help=gettext_noop("retries after the first run (default: 3)")
        )
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--run-at",
            "--run_at",
            metavar="ISO",
            help=gettext_noop("when it is due, such as 2030-01-31T08:00; in TIME_ZONE unless it has an offset"),
        )
        when.add_argument("--delay", metavar="SECONDS", help=gettext_noop("seconds until it is due"))
        parser.add_argument("--queue", help=gettext_noop("a queue other than the task's own"))
        parser.add_argument(
            "--timeout",
            metavar="SECONDS",
            help=gettext_noop("time limit of a run in seconds (default: the task's own, else JOBS_DEFAULT_TIMEOUT)"),
        )
        parser.add_argument(
            "--unique-key",
            "--unique_key",
            metavar="KEY",
            help=gettext_noop("while a job with this key has not ended, print the number of that one"),
        )
        parser.add_argument("--count", metavar="N", default=1, help=gettext_noop("how many jobs (default: 1; at most 1000000)"))
        parser.add_argument("--wait", action="store_true", help=gettext_noop("wait until all have ended; exit 1 if one failed"))

    def handle(self, *args: Any, **options: Any) -> None:
        """One line on stderr and a code other than 0 when the jobs cannot be accepted, or when one failed."""
        count = number(options["count"], int, "--count")
        if not 1 <= count <= MOST:
            raise CommandError(_("--count must be from 1 to %(most)d") % {"most": MOST})
        arguments = parsed(options["call_args"], list, "--args"), parsed(options["kwargs"], dict, "--kwargs")
        given: dict[str, Any] = {
            "name": options["name"],
            "max_retries": number(options["max_retries"], int, "--max-retries"),
            "run_at": due(options["run_at"]),
            "delay": None if options["delay"] is None else number(options["delay"], float, "--delay"),
            "queue": options["queue"],
            "unique_key": options["unique_key"],
        }
        for name in ("priority", "timeout"):  # the task has its own
            if options[name] is not None:
                given[name] = number(options[name], int, f"--{name}")
        try:
            if count == 1:
                ids = [enqueue(options["task"], args=arguments[0], kwargs=arguments[1], **given).pk]
            else:
                ids = enqueue_many(options["task"], [arguments] * count, **given)
        except ValidationError as error:
            raise CommandError(one_line(error)) from error
        self.print_numbers(ids)
        if options["wait"]:
            self._wait(ids)

    def _wait(self, ids: list[int]) -> None:
        bad: list[tuple[int, str, str]] = []
        for first in range(0, len(ids), PART):
            part = ids[first : first + PART]
            while not ended(part):
                time.sleep(LOOK)
            others = fresh.rows(Job).filter(id__in=part).exclude(status=Status.COMPLETED).order_by("id")
            bad += others.values_list("id", "status", "last_error")[: SHOWN - len(bad)]
        if bad:
            raise CommandError("; ".join(f"{id} {STATUS_LABELS[Status(status)]}: {_error(error)}" for id, status, error in bad))


def ended(ids: Sequence[int]) -> bool:
    """Whether none of the jobs waits or runs any more."""
    return not fresh.rows(Job).filter(id__in=ids).exclude(status__in=ENDED).exists()


def _error(text: str) -> str:
    return own_failures.said(printable(" ".join(masking.text(text).split())))[:200]


def parsed(text: str, kind: type, option: str) -> Any:
    """The JSON of an option. Raises CommandError when it is not JSON, or not of that kind."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(_("%(option)s is not valid JSON: %(error)s") % {"option": option, "error": error}) from error
    if not isinstance(value, kind):
        wanted = _("a list") if kind is list else _("an object")
        raise CommandError(_("%(option)s must be %(wanted)s in JSON") % {"option": option, "wanted": wanted})
    return value


def number(value: Any, kind: type[int] | type[float], option: str) -> Any:
    """The value of an option. Raises CommandError, in one line where argparse would add the usage."""
    try:
        return kind(value)
    except (ValueError, OverflowError) as error:
        raise CommandError(_("%(option)s is not a number: %(value)s") % {"option": option, "value": value}) from error


def due(text: str | None) -> datetime | None:
    """The moment of an ISO text. Raises CommandError for nonsense, for the past and for what no clock shows, or shows twice."""
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(_("--run-at is not a date and time: %(text)s (2030-01-31T08:00 would be one)") % {"text": text})
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            wrong = _("--run-at is a time that the clocks skip or show twice: %(text)s (add its offset, such as +02:00)")
            raise CommandError(wrong % {"text": text})
    if moment < aware(reckoned()) - PAST_ALLOWED:
        raise CommandError(_("--run-at is in the past: %(text)s") % {"text": text})
    return moment
