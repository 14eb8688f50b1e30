"""A table of the jobs that somebody keeps locked: a migration, VACUUM FULL, a transaction that was left open."""

from dataclasses import dataclass
from typing import Final

from django.apps import apps

from jobs.store import caller

PATIENCE_S: Final = 10  # seconds; a worker's look at its rows gives up before
_WAITING: Final = """
SELECT c.relname, extract(epoch FROM clock_timestamp() - l.waitstart)::int, array_to_string(pg_blocking_pids(l.pid), ', ')
  FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
 WHERE NOT l.granted AND l.locktype = 'relation' AND c.relname = ANY (%s) AND l.waitstart < clock_timestamp() - make_interval(secs => %s)
 ORDER BY l.waitstart LIMIT 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """Which table, for how many seconds somebody has waited for it, and for which sessions (their numbers, with commas)."""

    table: str
    seconds: int
    sessions: str


def longest() -> Locked | None:
    """The wait that began first; None where nobody waits longer than that takes among those who only work."""
    tables = [model._meta.db_table for model in apps.get_app_config("jobs").get_models()]
    with caller.cursor() as cursor:
        cursor.execute(_WAITING, [tables, PATIENCE_S])
        found = cursor.fetchone()
    return Locked(table=found[0], seconds=found[1], sessions=found[2]) if found else None
