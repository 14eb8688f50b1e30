"""One look at everything that asks something of the leader: one statement, so that a leader at rest asks little.

While somebody keeps an old snapshot, the index of what runs has an entry of each job that ran since. So a look need not be one at that:
a worker that has died is known by its lock.
"""

import time
from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Final

from jobs.leader.notices import OUTBOX
from jobs.leader.told import IS_PRIVATE
from jobs.store.locks import HELD_WORKERS
from jobs.store.revoked import OPEN

LATE: Final = "deadline_at < clock_timestamp() - interval '2 s'"
# The rows are those of a moment before the locks are read, so who took a lock and a row since is not free.
# A server that recovers from a crash keeps its start time, but begins its statistics anew.
# Not prepared: a plan of the empty table could be one that reads all that waits.
_RUNNING: Final = f"SELECT array_agg(DISTINCT worker) AS workers, bool_or({LATE}) AS late FROM jobs_job WHERE status = 'running'"
_UNSEEN: Final = "SELECT NULL::int[] AS workers, NULL::boolean AS late"
_LOOK: Final = f"""
SELECT (SELECT json_agg(json_build_array(id, parent, queues)) FROM jobs_worker),
       coalesce(running.workers, '{{}}'), coalesce(running.late, false),
       EXISTS (SELECT FROM jobs_job WHERE losses >= 2 AND status = 'pending'),
       EXISTS (SELECT FROM jobs_batch WHERE state IN ('trial', 'running')),
       EXISTS (SELECT FROM jobs_deadletterqueue WHERE {OUTBOX}),
       EXISTS (SELECT FROM jobs_storedresult WHERE {OPEN}),
       extract(epoch FROM clock_timestamp() - greatest(pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter)))::float,
       ARRAY({HELD_WORKERS}), {IS_PRIVATE}, extract(epoch FROM clock_timestamp() - statement_timestamp())::float,
       extract(epoch FROM clock_timestamp())::float
  FROM (%s) running"""
LOOK: Final = _LOOK % _RUNNING
BRIEF: Final = _LOOK % _UNSEEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the database's clock said at a moment between two of ours, which nobody sets."""

    at: float  # seconds since 1970
    asked: float  # monotonic
    answered: float  # monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there was at one moment."""

    workers: dict[int, tuple[int | None, list[str]]]  # rows of workers: parent and queues
    holders: set[int]  # workers that running jobs name, at the last whole look
    late: bool  # a running job is past its deadline; a brief look does not ask
    suspects: bool  # a job waits that lost two workers
    acts: bool  # a bulk action has not ended
    notices: bool  # a notice may be due
    revoked: bool  # an id was revoked that a job may have which was not committed yet
    age: float  # seconds since the server's start or crash; negative where its clock was set back since
    held: set[int]  # workers whose process lives
    is_private: bool  # nobody may connect who may not read and insert jobs
    seconds: float  # that PostgreSQL took
    clock: Reading


def look(cursor: Any, before: Set[int] | None = None) -> Seen:
    """Look now. `before`: a brief look, and the workers that running jobs named at the last whole one; None: a whole look."""
    asked = time.monotonic()
    cursor.execute(LOOK if before is None else BRIEF)
    workers, holders, late, suspects, acts, notices, revoked, age, held, is_private, seconds, at = cursor.fetchone()
    return Seen(
        workers={id: (parent, list(queues or ())) for id, parent, queues in workers or ()}, late=late, suspects=suspects, acts=acts,
        holders=set(holders if before is None else before), notices=notices, revoked=revoked, age=age, held=set(held),
        is_private=is_private, seconds=seconds, clock=Reading(at=at, asked=asked, answered=time.monotonic()),
    )  # fmt: skip
