"""Telling those who wait for a result, and only while they do.

A NOTIFY takes one lock for the whole server until its commit is flushed. So who waits holds one of 256 locks shared (which one
is the hash of the task_id) before it reads the row, and who ends a job tries the same lock exclusively: refused means somebody waits.
"""

from typing import Final

from jobs.store.locks import ENDED, WAITER_CLASS

BUCKET: Final = "hashtext({0}) & 255"
LONGEST: Final = 200  # characters of a task_id that a notification carries
_FREE: Final = f"pg_try_advisory_xact_lock({WAITER_CLASS}, {BUCKET})"
_TELL: Final = f"pg_notify('{ENDED}', left({{0}}, {LONGEST}))::text"


def ended(update: str) -> str:
    """The statement for an UPDATE of jobs_job, which tells the waiters as well; its rows are the ids that were changed."""
    return f"{update} RETURNING id, {tell('task_id')}"


def tell(task_id: str) -> str:
    """The SQL expression that tells who waits for this id (an SQL expression too)."""
    return f"CASE WHEN {_FREE.format(task_id)} THEN '' ELSE {_TELL.format(task_id)} END"
