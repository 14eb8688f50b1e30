"""Pure judgement of recorded runs: at once, idle slots, inversions, growing delays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from django.utils.translation import gettext as _

ZERO = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished run as the database recorded it; `due_at` is the later of its run_at and its insertion."""

    id: int
    priority: int
    run_at: datetime
    due_at: datetime
    started_at: datetime
    finished_at: datetime
    worker: int

    def outranks(self, other: "Run") -> bool:
        """Whether this job had to start before the other: a higher priority, or the same and older."""
        return (-self.priority, self.run_at, self.id) < (-other.priority, other.run_at, other.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A worker ran at most `running` jobs between two moments, although a job waited all the while."""

    worker: int
    since: datetime
    until: datetime
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One failed run: when it began and ended, and the delay that was chosen (None: no further run)."""

    started_at: datetime
    finished_at: datetime
    delay: float | None


def at_once(runs: Iterable[Run]) -> dict[int, int]:
    """The most runs at one moment for each worker; a run is the half-open interval [started_at, finished_at)."""
    peaks: dict[int, int] = {}
    for worker, own in _by_worker(runs):
        peaks[worker] = running = 0
        for _moment, change in sorted(_changes(own)):  # an end sorts before a start of the same moment
            running += change
            peaks[worker] = max(peaks[worker], running)
    return peaks


def crowded(runs: Iterable[Run], expect: int) -> list[Run]:
    """The runs that began while `expect` others of their worker were running."""
    found = []
    for _worker, own in _by_worker(runs):
        ordered = sorted(own, key=lambda run: run.started_at)
        for index, run in enumerate(ordered):
            before = sum(other.finished_at > run.started_at for other in ordered[:index])
            if before >= expect:
                found.append(run)
    return found


def idle(runs: Sequence[Run], expect: int, tolerance: timedelta) -> list[Idle]:
    """The times longer than `tolerance` in which a worker ran fewer than `expect` jobs while one was due and waited."""
    found = []
    for worker, own in _by_worker(runs):
        changes = sorted(_changes(own))
        moments = sorted({moment for run in runs for moment in (run.due_at, run.started_at, run.finished_at)})
        since, running, index = None, 0, 0
        for moment in moments:
            while index < len(changes) and changes[index][0] <= moment:
                running += changes[index][1]
                index += 1
            starved = running < expect and any(run.due_at <= moment < run.started_at for run in runs)
            if since is None and starved:
                since, most = moment, running
            elif since is not None and starved:
                most = max(most, running)
            elif since is not None:
                if moment - since > tolerance:
                    found.append(Idle(worker=worker, since=since, until=moment, running=most))
                since = None
    return found


def unreached(runs: Sequence[Run], expect: int, tolerance: timedelta) -> list[Idle]:
    """The workers that never ran `expect` jobs at once, although that many were running there or due for longer than `tolerance`."""
    found = []
    for worker, own in _by_worker(runs):
        most, first = at_once(own)[worker], min(run.started_at for run in own)
        if most >= expect:
            continue
        due, since = 0, None
        for moment, changes in groupby(sorted(_wanting(runs, worker, first)), key=lambda change: change[0]):
            due += sum(change for _moment, change in changes)
            if since is None and due >= expect:
                since = moment
            elif since is not None and due < expect:
                if moment - since > tolerance:
                    found.append(Idle(worker=worker, since=since, until=moment, running=most))
                    break
                since = None
    return found


def inversions(runs: Sequence[Run], grace: timedelta = ZERO, together: timedelta = ZERO, limit: int = 20) -> list[tuple[Run, Run]]:
    """Up to `limit` pairs (B, A): B started although A outranks it, had been due longer than `grace`, and started later.

    Starts that lie no more than `together` apart are of the same moment.
    """
    ordered = sorted(runs, key=lambda run: run.started_at)
    found = []
    for index, early in enumerate(ordered):
        for late in ordered[index + 1 :]:
            if late.started_at > early.started_at + together and late.outranks(early) and late.due_at + grace < early.started_at:
                found.append((early, late))
                if len(found) == limit:
                    return found
    return found


def delays_grow(attempts: Sequence[AttemptRow], maximum: float, slack: float = 0.05) -> list[str]:
    """What is wrong with the pauses between the runs of one job; empty when each is kept and, up to `maximum`, longer than the last."""
    problems = []
    for number, (before, after) in enumerate(pairwise(attempts), 1):
        pause = (after.started_at - before.finished_at).total_seconds()
        values = {"run": number, "next": number + 1, "pause": f"{pause:.2f}", "delay": f"{before.delay or 0:.2f}"}
        if before.delay is None:
            problems.append(_("run %(run)d recorded no delay, yet run %(next)d followed") % values)
        elif pause < before.delay - slack:
            problems.append(_("run %(next)d began %(pause)s s after run %(run)d, before its delay of %(delay)s s") % values)
    delays = [row.delay for row in attempts if row.delay is not None]
    for earlier, later in pairwise(delays):
        if later < maximum if earlier >= maximum else later <= earlier:  # at the maximum they differ by chance alone
            values = {"earlier": f"{earlier:.2f}", "later": f"{later:.2f}", "maximum": f"{maximum:g}"}
            problems.append(
                _("the delays do not grow: %(earlier)s s, then %(later)s s (JOBS_RETRY_BACKOFF_MAX is %(maximum)s s here)") % values
            )
    return problems


def _by_worker(runs: Iterable[Run]) -> list[tuple[int, list[Run]]]:
    ordered = sorted(runs, key=lambda run: run.worker)
    return [(worker, list(own)) for worker, own in groupby(ordered, key=lambda run: run.worker)]


def _wanting(runs: Iterable[Run], worker: int, first: datetime) -> Iterable[tuple[datetime, int]]:
    """From its first start on, when each run becomes one that this worker could have, and when it is no more: ended, or taken elsewhere."""
    for run in runs:
        begin, end = max(run.due_at, first), run.finished_at if run.worker == worker else run.started_at
        if begin < end:
            yield begin, 1
            yield end, -1


def _changes(runs: Iterable[Run]) -> Iterable[tuple[datetime, int]]:
    for run in runs:
        if run.finished_at > run.started_at:
            yield run.started_at, 1
            yield run.finished_at, -1
