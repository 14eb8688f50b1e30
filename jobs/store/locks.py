"""Advisory locks: pairs of (class, number)."""

from typing import Final

LEADER: Final = (7301, 1)  # held by the process that dispatches
SLEEPING: Final = (7302, 1)  # held exclusively by a leader that sleeps; the trigger tries it shared (migration 0002)
WORKER_CLASS: Final = 7303  # with Worker.id: held by the worker process while it lives
ALONE: Final = (7305, 1)  # held by the worker that runs, or is about to run, a job that may kill it
CHANNEL: Final = "jobs_due"
WAITER_CLASS: Final = 7304  # with a bucket of 256: held shared by those who wait for a result; who ends a job tries it exclusively
ENDED: Final = "jobs_ended"

# The numbers of the workers whose process lives in this database; PostgreSQL frees the lock the moment it dies.
HELD_WORKERS: Final = f"""
SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {WORKER_CLASS} AND objsubid = 2
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
