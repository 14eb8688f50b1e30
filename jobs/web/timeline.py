"""The life of a job as a line to scale: waiting, running and pauses, with the same in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from jobs.domain.outcomes import Outcome
from jobs.domain.statuses import ENDED, Status
from jobs.models import Attempt, Job
from jobs.models.attempt import OUTCOME_LABELS, unrecorded
from jobs.models.job import STATUS_LABELS
from jobs.web.times import seconds

WIDTH: Final = 1000.0  # of the drawing
_LEAST: Final = 3.0  # so that a short run can be seen


class Kind(StrEnum):
    """What a part of the line is; also the name of its colour."""

    WAIT = "wait"  # due, but not started
    PAUSE = "pause"  # not due yet
    REST = "rest"  # it had ended before it was run again
    GONE = "gone"  # runs of which no record is kept
    RUN = "run"  # that goes on
    GOOD = "good"  # a run that completed
    BAD = "bad"  # a run that did not


LABELS: Final[dict[Kind, Promise]] = {
    Kind.WAIT: pgettext_lazy("timeline", "waiting"),
    Kind.PAUSE: pgettext_lazy("timeline", "not due yet"),
    Kind.REST: pgettext_lazy("timeline", "had ended"),
    Kind.GONE: pgettext_lazy("timeline", "details not kept"),
    Kind.RUN: pgettext_lazy("timeline", "running"),
    Kind.GOOD: pgettext_lazy("timeline", "a run that completed"),
    Kind.BAD: pgettext_lazy("timeline", "a run that did not complete"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """From `start` to `end`; `text` says what it is. `x` and `width` are of the drawing."""

    kind: Kind
    start: datetime
    end: datetime
    text: str
    x: str = ""
    width: str = ""

    @property
    def length(self) -> float:
        """Its seconds."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The parts in their order; `summary` says how long each kind took in all."""

    parts: tuple[Part, ...]
    summary: str
    kinds: tuple[tuple[str, str], ...]  # name and label of those that occur


def timeline(job: Job, attempts: Sequence[Attempt], now: datetime) -> Timeline:
    """Of a job and its attempts in the order of their runs."""
    found = [part for part in _parts(job, attempts, now) if part.end > part.start]
    whole = sum(part.length for part in found) or 1.0
    spent: dict[Kind, float] = {}
    placed, x = [], 0.0
    scale = (WIDTH - _LEAST * len(found)) / whole if len(found) * _LEAST < WIDTH / 2 else 0.0
    for part in found:
        spent[part.kind] = spent.get(part.kind, 0.0) + part.length
        width = part.length * scale + _LEAST if scale else part.length * WIDTH / whole
        placed.append(Part(kind=part.kind, start=part.start, end=part.end, text=part.text, x=f"{x:.1f}", width=f"{width:.1f}"))
        x += width
    words = [_("%(what)s: %(time)s") % {"what": LABELS[kind], "time": seconds(time)} for kind, time in spent.items()]
    return Timeline(parts=tuple(placed), summary=" · ".join(words), kinds=tuple((kind.value, str(LABELS[kind])) for kind in spent))


def _parts(job: Job, attempts: Sequence[Attempt], now: datetime) -> Iterator[Part]:
    here, before = job.created_at, None
    gone = unrecorded(attempts)
    for place, attempt in enumerate(attempts):
        start = attempt.started_at or attempt.finished_at
        if place == 1 and gone:
            yield Part(kind=Kind.GONE, start=here, end=start, text=str(LABELS[Kind.GONE]))
        else:
            yield from _between(here, start, before, None)
        outcome = OUTCOME_LABELS[Outcome(attempt.outcome)]
        text = _("Run %(number)d: %(outcome)s") % {"number": attempt.run, "outcome": outcome}
        yield Part(kind=Kind.BAD, start=start, end=attempt.finished_at, text=text)
        here, before = attempt.finished_at, attempt
    status = Status(job.status)
    last = before.run if before else 0
    end = job.finished_at or now
    if status is Status.PENDING:
        yield from _between(here, now, before, job.run_at)
    elif status in (Status.RUNNING, Status.COMPLETED) and job.started_at is not None and job.runs > last:
        yield from _between(here, job.started_at, before, None)
        kind = Kind.RUN if status is Status.RUNNING else Kind.GOOD
        text = _("Run %(number)d: %(outcome)s") % {"number": job.runs, "outcome": STATUS_LABELS[status]}
        yield Part(kind=kind, start=job.started_at, end=end, text=text)
    elif status in ENDED and (before is None or end - here > timedelta(seconds=1)):
        yield from _between(here, end, before, job.run_at)


def _between(start: datetime, end: datetime, before: Attempt | None, due: datetime | None) -> Iterator[Part]:
    """Between two runs: the pause, then the waiting. `due`: where that is known."""
    if before is not None and before.delay is None and before.outcome in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.CANCELLED):
        yield Part(kind=Kind.REST, start=start, end=end, text=str(LABELS[Kind.REST]))
        return
    if due is None:
        due = start + timedelta(seconds=before.delay or 0) if before is not None else start
    due = min(max(due, start), end)
    yield Part(kind=Kind.PAUSE, start=start, end=due, text=str(LABELS[Kind.PAUSE]))
    yield Part(kind=Kind.WAIT, start=due, end=end, text=str(LABELS[Kind.WAIT]))
