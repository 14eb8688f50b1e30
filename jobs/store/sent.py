"""What Celery code sends becomes rows. A task_id that was revoked before a job had it makes a job that is cancelled."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from django.db import IntegrityError

from jobs.store import caller, clock
from jobs.store.insert import NewJob, given, inserting
from jobs.store.many import PAGE, execute_many

_REVOKED: Final = "EXISTS (SELECT FROM jobs_storedresult known WHERE known.task_id = {} AND known.state = 'REVOKED')"
# A task_id whose job has ended runs again as that job; one whose job has not ended is not run twice.
# A cancelled job's message may still lie in Redis, with what it was called with before: `runs` goes up, so that it claims nothing.
# One that was replaced by others and cancelled by somebody is not run by what these come to: that is sent under its id.
# A unique_key that another job has by now stays with that one: whoever sends an id asks for this job, and for no key.
_AGAIN = """ ON CONFLICT (task_id) DO UPDATE SET
    task = excluded.task, args = excluded.args, kwargs = excluded.kwargs, options = excluded.options, queue = excluded.queue,
    priority = excluded.priority, run_at = excluded.run_at, max_retries = excluded.max_retries, autoretry = excluded.autoretry,
    timeout = excluded.timeout, runs = jobs_job.runs + (jobs_job.status = 'cancelled')::int, status = 'pending', attempts = 0, losses = 0,
    finished_at = NULL, started_at = NULL, deadline_at = NULL, worker = NULL, result = NULL, result_meta = NULL, progress = NULL,
    last_error = '', cancel_requested_at = NULL, cancel_requested_by = '',
    unique_key = CASE WHEN NOT EXISTS (SELECT FROM jobs_job other WHERE other.unique_key = jobs_job.unique_key
                        AND other.status IN ('pending', 'running') AND other.id <> jobs_job.id) THEN jobs_job.unique_key END
  WHERE jobs_job.status IN ('completed', 'failed') OR jobs_job.status = 'pending' AND jobs_job.run_at = '9999-01-01+0'
     OR jobs_job.status = 'cancelled' AND NOT (jobs_job.run_at = '9999-01-01+0'
        AND (jobs_job.cancel_requested_at IS NOT NULL OR jobs_job.cancel_requested_by = 'revoke'))"""
_ONCE: Final = " ON CONFLICT (task_id) DO NOTHING"
_WHICH: Final = f" RETURNING id, xmax <> 0, {_REVOKED.format('jobs_job.task_id')}"  # whether the job was there already
_TYPES: Final = {
    "args": "json", "kwargs": "json", "options": "json", "priority": "smallint", "run_at": "timestamptz", "max_retries": "int",
    "autoretry": "boolean", "timeout": "int",
}  # fmt: skip
_MANY = (
    "(%s, %s, %s, %s, %s, coalesce(%s::timestamptz, statement_timestamp() + %s * interval '1 microsecond'), %s::int, %s::boolean,"
    " %s::int, %s::json, %s)"
)


def insert_sent(cursor: Any, new: NewJob) -> bool:
    """Insert what Celery code sends. False: a job with this task_id has not ended, so it is not run twice."""
    for ending in (_ONCE, _AGAIN):  # nearly always the first: an INSERT that may become an UPDATE wakes the leader as one
        cursor.execute(*inserting(new, ending + _WHICH))
        rows = cursor.fetchall()
        if rows:
            _see_to(cursor, rows)
            return True
    return False


def insert_call(new: NewJob, *, fresh: bool) -> None:
    """The same in the transaction of a caller that sends nothing else. `fresh`: nobody can have used the task_id, or revoked it."""
    if fresh:
        statement, values = inserting(new, f"{_ONCE} RETURNING id")
        # It is there already only where the first try was committed: no reason to run it again.
        made = caller.first_row_anywhere(statement, values, again=lambda: f"WITH made AS ({statement}) SELECT true")
    else:
        made = caller.first_row_anywhere(*_unless_revoked(new))
    if made is None:
        insert_calls([new])


def insert_calls(rows: Sequence[NewJob]) -> None:
    """The same for what is sent together, all or nothing."""
    try:
        caller.whole(lambda cursor: insert_sent_many(cursor, rows))
    except IntegrityError:  # two of them have had one unique_key, or it was taken in this very moment: each statement sees those before it
        caller.whole(lambda cursor: [insert_sent(cursor, new) for new in sorted(rows, key=lambda new: str(new.task_id))])


def _unless_revoked(new: NewJob) -> tuple[str, list[Any]]:
    values = given(new)
    return _statement(tuple(values)), [*values.values(), new.task_id]


@lru_cache(maxsize=64)
def _statement(columns: tuple[str, ...]) -> str:
    marks = ", ".join([f"%s::{_TYPES.get(name, 'text')}" for name in columns])
    return f"INSERT INTO jobs_job ({', '.join(columns)}) SELECT {marks} WHERE NOT {_REVOKED.format('%s')}{_ONCE} RETURNING id"


def insert_sent_many(cursor: Any, rows: Sequence[NewJob]) -> None:
    """Insert what Celery code sends together, in one statement a page; one whose task_id belongs to a job that has not ended is left out.

    The rows are sorted by task_id, or two callers that send the same ones in opposite order would wait for each other. They
    run in the order given all the same: each is due a microsecond after the one before it, from one moment on.
    """
    if len(rows) == 1:
        insert_sent(cursor, rows[0])
        return
    unique = {new.task_id: (place, new) for place, new in enumerate(rows)}
    if not unique:
        return
    since = clock.now(cursor) if len(unique) > PAGE else None  # one statement has a moment of its own
    values = [
        (
            new.task, new.args, new.kwargs, new.queue, new.priority, new.run_at or (since and since + timedelta(microseconds=place)), place,
            new.max_retries, new.autoretry, new.timeout, new.options, new.task_id,
        )
        for _, (place, new) in sorted(unique.items())
    ]  # fmt: skip
    sql = "INSERT INTO jobs_job (task, args, kwargs, queue, priority, run_at, max_retries, autoretry, timeout, options, task_id) VALUES %s"
    _see_to(cursor, execute_many(cursor, sql + _AGAIN + _WHICH, values, template=_MANY, fetch=True))


def _see_to(cursor: Any, rows: Sequence[tuple[int, bool, bool]]) -> None:
    """A job that runs again because it was sent again leaves no open dead letter behind; one whose id was revoked is cancelled."""
    again = [id for id, was_there, _ in rows if was_there]
    if again:
        cursor.execute(
            """UPDATE jobs_deadletterqueue SET resolution = 'reprocessed', resolved_at = clock_timestamp(), notify_after = NULL
                WHERE id IN (SELECT id FROM jobs_deadletterqueue WHERE job_id = ANY(%s) AND resolution = 'open' ORDER BY id FOR UPDATE)""",
            [again],
        )
    revoked = [id for id, _, was_revoked in rows if was_revoked]
    if revoked:
        from jobs.store import interventions  # most processes that send meet no such job, and wait for no verbs

        interventions.revoke(cursor, revoked)
