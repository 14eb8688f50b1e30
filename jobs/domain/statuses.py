"""The states of a job and the one table of transitions."""

from dataclasses import dataclass
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
    """What people see: a pending job is queued, scheduled or retrying."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RETRYING = "retrying"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
LIVE: Final = frozenset(Status) - ENDED


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


def can(verb: str, status: str) -> bool:
    """Whether the verb may be applied to a job in this status.

    >>> can("reprocess", "failed"), can("reprocess", "running")
    (True, False)
    """
    return Status(status) in TRANSITIONS[verb].sources


def state_of(status: str, *, attempts: int, due: bool) -> State:
    """The state that people see.

    >>> state_of("pending", attempts=1, due=False)
    <State.RETRYING: 'retrying'>
    """
    if status != Status.PENDING:
        return State(status)
    if attempts:
        return State.RETRYING
    return State.QUEUED if due else State.SCHEDULED
