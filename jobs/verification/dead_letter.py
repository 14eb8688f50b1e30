"""The test of failures: jobs that fail in three ways, and the judgement of what was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.conf import configuration
from jobs.domain.actors import Actor, Source
from jobs.domain.outcomes import Outcome
from jobs.domain.retry import JITTER
from jobs.domain.statuses import Status
from jobs.enqueueing import enqueue
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.store import fresh
from jobs.verification.rules import AttemptRow, delays_grow

FAILS: Final = "jobs.tasks.fail"
RETRIES: Final = 3
RECOVERS_AFTER: Final = 2
STEP_S: Final = 120.0  # that a step may take besides the pauses between its runs
NOTE: Final = "test_dead_letter_queue"
BY: Final = Actor(name="manage.py test_dead_letter_queue", source=Source.COMMAND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is judged of a row of the dead letter queue."""

    traceback: str
    resolution: str
    noticed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the database recorded of one job."""

    id: int
    status: str
    permanently_failed: bool
    runs: int
    failures: Sequence[AttemptRow]
    last: AttemptRow | None  # the run that completed
    entries: Sequence[Entry] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One job of the test, and what has to become of it."""

    id: int
    label: str
    runs: int
    status: Status
    resolutions: tuple[str, ...] = ()


def create() -> list[Case]:
    """Three jobs: one that always fails, one that recovers, one whose error is not worth another try."""
    fails = enqueue(FAILS, kwargs={"message": NOTE}, name=f"{NOTE}: 1", max_retries=RETRIES)
    flaky = enqueue("jobs.tasks.flaky", kwargs={"failures": RECOVERS_AFTER}, name=f"{NOTE}: 2", max_retries=RETRIES)
    hopeless = enqueue("jobs.tasks.http_request", kwargs={"url": "http://."}, name=f"{NOTE}: 3", max_retries=RETRIES)
    buried = ("open",)
    return [
        Case(id=fails.id, label=_("always fails"), runs=RETRIES + 1, status=Status.FAILED, resolutions=buried),
        Case(id=flaky.id, label=_("fails, then recovers"), runs=RECOVERS_AFTER + 1, status=Status.COMPLETED),
        Case(id=hopeless.id, label=_("error that is not retried"), runs=1, status=Status.FAILED, resolutions=buried),
    ]


def patience() -> float:
    """Seconds for a step, with the pauses that this configuration has between its runs."""
    limits = configuration()
    pauses = sum(min(limits.retry_backoff * 2**number, limits.retry_backoff_max) for number in range(RETRIES))
    return STEP_S + pauses * (1 + JITTER)


def judge(case: Case, story: Story, maximum: float) -> list[str]:
    """What differs from what has to be, one sentence each; empty when nothing does. `maximum`: seconds up to which delays grow."""
    buried = case.status == Status.FAILED
    problems = []
    if story.status != case.status:
        problems.append(_("the status is %(is)s, not %(wanted)s") % {"is": story.status, "wanted": case.status.value})
    if story.permanently_failed != buried:
        problems.append(_("permanently_failed is %(is)s") % {"is": story.permanently_failed})
    if story.runs != case.runs:
        text = ngettext("it ran %(is)d time, not %(wanted)d", "it ran %(is)d times, not %(wanted)d", story.runs)
        problems.append(text % {"is": story.runs, "wanted": case.runs})
    failures = case.runs if buried else case.runs - 1
    if (found := len(story.failures)) != failures:
        text = ngettext("%(is)d failed attempt is recorded, not %(wanted)d", "%(is)d failed attempts are recorded, not %(wanted)d", found)
        problems.append(text % {"is": found, "wanted": failures})
    problems += [] if len(case.resolutions) > 1 else delays_grow([*story.failures, *([story.last] if story.last else [])], maximum)
    return problems + _judge_entries(case, story.entries)


def _judge_entries(case: Case, entries: Sequence[Entry]) -> list[str]:
    problems = []
    found = tuple(entry.resolution for entry in entries)
    if found != case.resolutions:
        wanted = ", ".join(case.resolutions) or "-"
        problems.append(_("the dead letter queue has %(is)s, not %(wanted)s") % {"is": ", ".join(found) or "-", "wanted": wanted})
    if not all(entry.traceback for entry in entries):
        problems.append(_("an entry has no traceback"))
    if not all(entry.noticed for entry in entries if entry.resolution == "open"):
        problems.append(_("a notice was not sent, and no error was recorded for it"))
    return problems


def read(id: int) -> Story:
    """What is recorded of the job now."""
    job = fresh.rows(Job).get(id=id)
    attempts = fresh.rows(Attempt).filter(job=id, outcome=Outcome.FAILED, started_at__isnull=False).order_by("run")
    failures = [
        AttemptRow(started_at=row.started_at, finished_at=row.finished_at, delay=row.delay)
        for row in attempts
        if row.started_at is not None
    ]
    last = None
    if job.status == Status.COMPLETED and job.started_at and job.finished_at:
        last = AttemptRow(started_at=job.started_at, finished_at=job.finished_at, delay=None)
    return Story(
        id=id,
        status=job.status,
        permanently_failed=bool(job.permanently_failed),
        runs=job.runs,
        failures=failures,
        last=last,
        entries=[
            Entry(traceback=row.traceback, resolution=row.resolution, noticed=bool(row.notified_at or row.notify_error))
            for row in fresh.rows(DeadLetterQueue).filter(job=id).order_by("id")
        ],
    )


def open_entries(ids: Sequence[int]) -> list[int]:
    """The numbers of the open dead letters of these jobs."""
    return list(fresh.rows(DeadLetterQueue).filter(job__in=ids, resolution="open").order_by("id").values_list("id", flat=True))


def noticed(ids: Sequence[int]) -> bool:
    """Whether each open dead letter of these jobs has its notice, or the reason why not."""
    return not fresh.rows(DeadLetterQueue).filter(job__in=ids, resolution="open", notified_at__isnull=True, notify_error="").exists()
