"""New rows: the one door."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from psycopg2.extras import execute_values

from jobs.conf import configuration
from jobs.models import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is stored of a request; args, kwargs and options are JSON texts, run_at None means now."""

    task: str
    args: str = "[]"
    kwargs: str = "{}"
    name: str = ""
    queue: str = "celery"
    priority: int = 5
    run_at: Any = None
    max_retries: int | None = 3
    autoretry: bool = True
    timeout: int | None = None
    unique_key: str | None = None
    created_by_id: int | None = None
    options: str | None = None
    task_id: str | None = None


_COLUMNS = (
    "task", "args", "kwargs", "name", "queue", "priority", "run_at", "max_retries",
    "autoretry", "timeout", "unique_key", "created_by_id", "options", "task_id",
)  # fmt: skip
_TEMPLATE = (
    "(%s, %s::json, %s::json, %s, %s, %s, coalesce(%s::timestamptz, clock_timestamp()), %s,"
    " %s, %s, %s, %s, %s::json, coalesce(%s::text, gen_random_uuid()::text))"
)
_INSERT = f"INSERT INTO jobs_job ({', '.join(_COLUMNS)}) VALUES "
_READ = ", ".join(str(field.column) for field in Job._meta.concrete_fields)
_NAMES = [field.attname for field in Job._meta.concrete_fields]
_UNIQUE = " ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND status IN ('pending', 'running') DO NOTHING"
# A task_id whose job has ended runs again as that job; one whose job has not ended is not run twice.
_AGAIN = """ ON CONFLICT (task_id) DO UPDATE SET
    task = excluded.task, args = excluded.args, kwargs = excluded.kwargs, options = excluded.options, queue = excluded.queue,
    priority = excluded.priority, run_at = excluded.run_at, max_retries = excluded.max_retries, autoretry = excluded.autoretry,
    timeout = excluded.timeout, status = 'pending', attempts = 0, losses = 0, finished_at = NULL, started_at = NULL,
    deadline_at = NULL, worker = NULL, result = NULL, progress = NULL, last_error = '',
    cancel_requested_at = NULL, cancel_requested_by = ''
  WHERE jobs_job.status IN ('completed', 'failed', 'cancelled')"""


def _values(new: NewJob) -> tuple[Any, ...]:
    return tuple(getattr(new, column) for column in _COLUMNS)


def _job(row: Sequence[Any], alias: str) -> Job:
    return Job.from_db(alias, _NAMES, row)


def insert(new: NewJob) -> Job:
    """Insert in the caller's transaction. With a unique_key held by a job that has not ended, that job is returned."""
    alias = configuration().database
    with connections[alias].cursor() as cursor:
        while True:
            cursor.execute(f"{_INSERT}{_TEMPLATE}{_UNIQUE if new.unique_key else ''} RETURNING {_READ}", _values(new))
            row = cursor.fetchone()
            if row is None:  # taken; if its job ends between the two statements, the next round inserts
                cursor.execute(f"SELECT {_READ} FROM jobs_job WHERE unique_key = %s AND status IN ('pending', 'running')", [new.unique_key])
                row = cursor.fetchone()
            if row is not None:
                return _job(row, alias)


def insert_many(rows: Sequence[NewJob]) -> list[int]:
    """Insert all in one statement; their numbers, in the order given."""
    if not rows:
        return []
    with connections[configuration().database].cursor() as cursor:
        found = execute_values(cursor, f"{_INSERT}%s RETURNING id", [_values(new) for new in rows], _TEMPLATE, len(rows), fetch=True)
    return [row[0] for row in found]


def insert_sent(cursor: Any, new: NewJob) -> bool:
    """Insert what Celery code sends. False: a job with this task_id has not ended, so it is not run twice."""
    cursor.execute(f"{_INSERT}{_TEMPLATE}{_AGAIN}", _values(new))
    return bool(cursor.rowcount)
