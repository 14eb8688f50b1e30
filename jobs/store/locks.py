"""All advisory locks: pairs of (class, number), and one kind of a single number, which is none of these to PostgreSQL."""

from typing import Final

LEADER: Final = (7301, 1)  # held by the process that dispatches
SLEEPING: Final = (7302, 1)  # held exclusively by a leader that sleeps; the trigger tries it shared (migration 0002)
WORKER_CLASS: Final = 7303  # with Worker.id: held by the worker process while it lives
WAITER_CLASS: Final = 7304  # with a bucket of 256: held shared by those who wait for a result; who ends a job tries it exclusively
ALONE: Final = (7305, 1)  # held by the worker that runs, or is about to run, a job that may kill it
# Seconds that such a job may keep the other slots of its worker empty, in all: while its neighbours end, and while it runs. Of these
# so many at most for the neighbours, since a job that kills its worker mostly does so at once.
ALONE_S: Final = 20.0
NEIGHBOURS_S: Final = 15.0
SEARCH: Final = (7306, 1)  # held by who fills or repairs the index of words, for a transaction
FORM: Final = "hashtextextended(%s, 0)"  # of a form's token: held by the request that takes it in, for a transaction
CHANNEL: Final = "jobs_due"
ENDED: Final = "jobs_ended"

_DATABASE: Final = "(SELECT oid FROM pg_database WHERE datname = current_database())"


def _held(kind: int, number: int | None = None, *, row: str = "l") -> str:
    """That this row of pg_locks is a lock of this class (and number) which a session of this database has."""
    which = f"{row}.classid = {kind}" if number is None else f"{row}.classid = {kind} AND {row}.objid = {number}"
    return f"{row}.locktype = 'advisory' AND {row}.granted AND {which} AND {row}.objsubid = 2 AND {row}.database = {_DATABASE}"


# Conditions of a row `l` of pg_locks.
LEADER_HELD: Final = _held(*LEADER)
ALONE_HELD: Final = _held(*ALONE)
_WORKER_HELD: Final = _held(WORKER_CLASS)
_WORKER_BESIDE: Final = _held(WORKER_CLASS, row="w")

# The numbers of the workers whose process lives in this database; PostgreSQL frees the lock the moment it dies.
HELD_WORKERS: Final = f"SELECT l.objid::bigint FROM pg_locks l WHERE {_WORKER_HELD}"

# The number of the worker that starts no other job now.
LONE_WORKER: Final = f"SELECT w.objid::bigint FROM pg_locks l JOIN pg_locks w ON w.pid = l.pid AND {_WORKER_BESIDE} WHERE {ALONE_HELD}"
