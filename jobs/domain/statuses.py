"""The states of a job and the one table of transitions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """What is stored in `jobs_job.status`."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class State(StrEnum):
    """What people see: a pending job is queued, scheduled, retrying, or replaced by other tasks."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RETRYING = "retrying"
    REPLACED = "replaced"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


# When a job is due that was replaced by a chain or a chord: it waits until the last of them is sent under its task_id.
HELD: Final = datetime(9999, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)  # of due times: the clocks of all places show them, and Python can read them
LATEST: Final = datetime(9998, 1, 1, tzinfo=UTC)
ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
LIVE: Final = frozenset(Status) - ENDED


def is_due_time(moment: datetime) -> bool:
    """Whether a job may be due then; without a time zone, wherever that is."""
    if moment.tzinfo is None:
        return EARLIEST.year < moment.year < LATEST.year
    return EARLIEST <= moment < LATEST


def due_time(moment: datetime) -> datetime:
    """The nearest moment at which a job may be due."""
    if is_due_time(moment):
        return moment
    return EARLIEST if moment.year <= EARLIEST.year else LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One verb: from which states it leads, to which, and who may do it."""

    verb: str
    sources: frozenset[Status]
    targets: frozenset[Status]
    who: str


def _row(verb: str, sources: str, targets: str, who: str) -> Transition:
    return Transition(
        verb=verb,
        sources=frozenset(Status(name) for name in sources.split()),
        targets=frozenset(Status(name) for name in targets.split()),
        who=who,
    )


TRANSITIONS: Final = {
    row.verb: row
    for row in (
        _row("claim", "pending", "running", "worker"),
        _row("complete", "running", "completed", "worker"),
        _row("retry", "running", "pending", "worker"),
        _row("bury", "pending running completed", "failed", "worker, leader, person (test action)"),
        _row("release", "running", "pending", "worker"),
        _row("rescue", "running", "pending failed cancelled", "leader"),
        _row("replace", "running", "pending", "worker"),
        _row("cancel", "pending running", "cancelled", "person, API, revoke, expires"),
        _row("reprocess", "failed cancelled", "pending", "person"),
        _row("restore", "cancelled", "pending", "person (undo of a cancel)"),
        _row("rerun", "completed", "pending", "enqueue"),
    )
}


# How a job comes to be, and in which status: a link of a chain may begin in the statement that ends the one before it.
BIRTHS: Final = {"enqueue": Status.PENDING, "hand over": Status.RUNNING}


def can(verb: str, status: str) -> bool:
    """Whether the verb may be applied to a job in this status.

    >>> can("reprocess", "failed"), can("reprocess", "running")
    (True, False)
    """
    return Status(status) in TRANSITIONS[verb].sources


def state_of(status: str, *, attempts: int, run_at: datetime, now: datetime) -> State:
    """The state that people see.

    >>> state_of("pending", attempts=0, run_at=HELD, now=datetime.now(UTC))
    <State.REPLACED: 'replaced'>
    """
    if status != Status.PENDING:
        return State(status)
    if attempts:
        return State.RETRYING
    if run_at >= HELD:
        return State.REPLACED
    return State.QUEUED if run_at <= now else State.SCHEDULED
