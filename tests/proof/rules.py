"""What each verb of the store should do, written a second time: pure, on plain values. And how such a value is read."""

from dataclasses import dataclass, replace
from typing import Any, Final

from jobs.domain.statuses import TRANSITIONS, Status

_FRESH: Final[dict[str, object]] = {
    "attempts": 0, "losses": 0, "worker": None, "asked": False, "revoked": False, "progress": False,
}  # fmt: skip
LEGAL: Final = {
    (source.value, target.value) for row in TRANSITIONS.values() for source in row.sources for target in row.targets
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is expected of a job: its own columns, its attempts as (run, outcome), its dead letters' resolutions, oldest first."""

    status: str = "pending"
    runs: int = 0
    attempts: int = 0
    losses: int = 0
    priority: int = 5
    due: bool = True
    worker: int | None = None
    asked: bool = False
    revoked: bool = False  # by Celery code, which lets a run that has begun come to its end
    untold: bool = False  # a worker is still to tell of its end
    held: bool = False  # replaced by other jobs, whose last one takes its place
    progress: bool = False
    record: tuple[tuple[int, str], ...] = ()
    entries: tuple[str, ...] = ()

    def goes(self, verb: str, target: str, **changes: object) -> "Row":
        """The row after a verb that has won; an AssertionError when the table of transitions does not know it."""
        rule = TRANSITIONS[verb]
        assert Status(self.status) in rule.sources, (verb, self.status)
        assert Status(target) in rule.targets, (verb, target)
        return replace(self, status=target, **changes)  # type: ignore[arg-type]

    def runs_as(self, runs: int) -> bool:
        """Whether this run owns the job: the fence."""
        return self.status == "running" and self.runs == runs

    def noted(self, outcome: str) -> tuple[tuple[int, str], ...]:
        """The attempts with one more, for the run that ends."""
        return (*self.record, (self.runs, outcome))

    def counted(self, outcome: str) -> dict[str, object]:
        """A lost run is counted in the losses, not in the attempts."""
        lost = int(outcome == "lost")
        return {"attempts": self.attempts - lost, "losses": self.losses + lost}

    def stopped(self, verb: str, outcome: str) -> "Row | None":
        """In place of another run, where somebody has asked for it."""
        if not (self.asked or self.revoked):
            return None
        untold = self.untold or (self.revoked and not self.asked)
        return self.goes(verb, "cancelled", record=self.noted(outcome), untold=untold, **self.counted(outcome))


def claim(row: Row, runs: int, worker: int, priority: int) -> Row | None:
    """The row after it; None when it must be refused. So are all the following."""
    if row.status != "pending" or row.runs != runs - 1 or not row.due or row.priority != priority:
        return None
    return row.goes("claim", "running", runs=runs, attempts=row.attempts + 1, worker=worker, progress=False)


def complete(row: Row, runs: int) -> Row | None:
    return row.goes("complete", "completed") if row.runs_as(runs) else None


def retry(row: Row, runs: int, outcome: str, *, due: bool) -> Row | None:
    if not row.runs_as(runs):
        return None
    again = row.goes("retry", "pending", due=due, worker=None, progress=False, record=row.noted(outcome))
    return row.stopped("cancel", outcome) or again


def set_aside(row: Row, runs: int) -> Row | None:
    """`self.replace`: another message with its task_id takes the row over."""
    if not row.runs_as(runs):
        return None
    aside = row.goes("replace", "pending", due=False, held=True, worker=None, attempts=0, progress=False)
    return row.stopped("cancel", "cancelled") or aside


def bury_held(row: Row) -> Row | None:
    """What it was replaced by has failed."""
    return row.goes("bury", "failed", entries=(*row.entries, "open")) if row.status == "pending" and row.held else None


def release(row: Row, runs: int, *, due: bool, noted: bool) -> Row | None:
    if not row.runs_as(runs):
        return None
    record = row.noted("interrupted") if noted else row.record
    back = row.goes("release", "pending", due=due, worker=None, attempts=row.attempts - 1, record=record)
    return row.stopped("cancel", "interrupted" if noted else "cancelled") or back


def lose(row: Row, runs: int) -> Row | None:
    if not row.runs_as(runs):
        return None
    again = row.goes("rescue", "pending", due=True, worker=None, **row.counted("lost"), record=row.noted("lost"))
    return row.stopped("rescue", "lost") or again


def bury(row: Row, runs: int, outcome: str) -> Row | None:
    if not row.runs_as(runs):
        return None
    return row.goes("bury", "failed", **row.counted(outcome), record=row.noted(outcome), entries=(*row.entries, "open"))


def cancel_running(row: Row, runs: int) -> Row | None:
    return row.goes("cancel", "cancelled", record=row.noted("cancelled")) if row.runs_as(runs) else None


def cancel(row: Row) -> Row | None:
    """A person's: at once when it waits, else it is asked."""
    if row.status == "pending":
        return row.goes("cancel", "cancelled", asked=row.held)
    return replace(row, asked=True, revoked=False) if row.status == "running" else None


def revoke(row: Row) -> Row | None:
    """Celery code's, which does not ask what runs to stop."""
    if row.status == "pending":
        return row.goes("cancel", "cancelled", revoked=True, untold=True)
    return replace(row, revoked=True) if row.status == "running" and not row.asked else None


def _closed(row: Row, resolution: str) -> tuple[str, ...]:
    return tuple(resolution if entry == "open" else entry for entry in row.entries)


def reprocess(row: Row) -> Row | None:
    if row.status not in ("failed", "cancelled"):
        return None
    void = int(row.status == "cancelled" and row.worker is None and row.attempts > 0)  # a message that says retries were spent
    return row.goes("reprocess", "pending", due=True, **_FRESH, runs=row.runs + void, held=False, entries=_closed(row, "reprocessed"))


def restore(row: Row) -> Row | None:
    """Back to where it waited; not what ran, and not what others had been put in the place of."""
    return row.goes("restore", "pending", revoked=False) if row.status == "cancelled" and not row.asked and not row.held else None


def resolve(row: Row) -> Row | None:
    return replace(row, entries=_closed(row, "resolved")) if "open" in row.entries else None


def reopen(row: Row) -> Row | None:
    """Its last entry, where it stayed failed."""
    stayed = row.status == "failed" and row.entries[-1:] == ("resolved",) and "open" not in row.entries
    return replace(row, entries=(*row.entries[:-1], "open")) if stayed else None


def fail_completed(row: Row) -> Row | None:
    return row.goes("bury", "failed", entries=(*row.entries, "open")) if row.status == "completed" else None


def send_again(row: Row, priority: int, *, due: bool) -> Row | None:
    """A task_id that is sent again: its job runs again once it has ended."""
    fresh = _FRESH | {"due": due, "priority": priority, "held": False}
    if row.held and row.status == "pending":
        return replace(row, **fresh)  # type: ignore[arg-type]
    if row.status == "completed":
        return row.goes("rerun", "pending", **fresh)
    if (
        row.status == "cancelled" and row.held and (row.asked or row.revoked)
    ):  # what took its place comes to its end, and somebody has cancelled it
        return None
    if row.status in ("failed", "cancelled"):
        void = int(row.status == "cancelled")  # its message may still lie in Redis
        return row.goes("reprocess", "pending", **fresh, runs=row.runs + void, entries=_closed(row, "reprocessed"))
    return None


def change_priority(row: Row, priority: int) -> Row | None:
    return replace(row, priority=priority) if row.status == "pending" else None


def report_progress(row: Row, runs: int) -> Row | None:
    return replace(row, progress=True) if row.runs_as(runs) else None


def may_go(row: Row) -> bool:
    """Whether prune and delete may remove it."""
    return row.status in ("completed", "failed", "cancelled") and "open" not in row.entries and not row.untold


_ROWS: Final = """
SELECT j.id, j.status, j.runs, j.attempts, j.losses, j.priority, j.run_at <= clock_timestamp(), j.worker,
       j.cancel_requested_at IS NOT NULL, j.cancel_requested_by = 'revoke' AND j.cancel_requested_at IS NULL,
       EXISTS (SELECT FROM jobs_aftermath m WHERE m.job_id = j.id),
       j.progress IS NOT NULL, j.run_at = '9999-01-01+0', j.permanently_failed, j.finished_at IS NOT NULL,
       ARRAY(SELECT a.run || '/' || a.outcome FROM jobs_attempt a WHERE a.job_id = j.id ORDER BY a.id),
       ARRAY(SELECT d.resolution FROM jobs_deadletterqueue d WHERE d.job_id = j.id ORDER BY d.id) FROM jobs_job j"""


def read(cursor: Any) -> dict[int, Row]:
    """Every job as it is in the database; an AssertionError where its columns contradict each other."""
    cursor.execute(_ROWS)
    found = {}
    for (
        id,
        status,
        runs,
        attempts,
        losses,
        priority,
        due,
        worker,
        asked,
        revoked,
        untold,
        progress,
        held,
        failed,
        ended,
        record,
        entries,
    ) in cursor.fetchall():
        assert failed == (status == "failed")
        assert ended == (status in ("completed", "failed", "cancelled"))
        assert entries.count("open") <= (1 if failed else 0), "an open dead letter belongs to a failed job"
        notes = tuple((int(run), outcome) for run, _, outcome in (text.partition("/") for text in record))
        assert len({run for run, _ in notes}) == len(notes), "two ends of one run"
        found[id] = Row(
            status=status, runs=runs, attempts=attempts, losses=losses, priority=priority, due=due, worker=worker, asked=asked,
            revoked=revoked, untold=untold, progress=progress, held=held, record=notes, entries=tuple(entries),
        )  # fmt: skip
    return found
