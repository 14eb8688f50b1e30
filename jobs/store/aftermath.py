"""Ends of which something is still to be told (`jobs.celery_app.aftermath`), and what their messages say of it."""

from collections.abc import Sequence
from typing import Any, Final

from jobs.store import results
from jobs.store.transitions import FENCE, Run

_AT_ONCE: Final = 20  # jobs


def options(cursor: Any, run: Run) -> str | None:
    """The rest of the message of a job that runs, as JSON text."""
    cursor.execute(f"SELECT options::text FROM jobs_job WHERE {FENCE}", run.fence)
    row = cursor.fetchone()
    return row[0] if row else None


def set_options(cursor: Any, run: Run, options: str) -> None:
    """Another rest of the message, while the job is this run's."""
    cursor.execute(f"UPDATE jobs_job SET options = %(options)s WHERE {FENCE}", {**run.fence, "options": options})


def take(cursor: Any, job: int | None, *, but: Sequence[int]) -> list[tuple[int, results.Found, bool]]:
    """Strike off some jobs (or the one) of whose end something is still to be told, and whether that is their errbacks only."""
    cursor.execute(
        """DELETE FROM jobs_aftermath WHERE job_id IN (SELECT job_id FROM jobs_aftermath WHERE job_id = %(job)s
             OR %(job)s IS NULL AND job_id <> ALL(%(but)s::bigint[])
             ORDER BY job_id LIMIT %(most)s FOR UPDATE SKIP LOCKED) RETURNING job_id, only_errbacks""",
        {"job": job, "but": list(but), "most": _AT_ONCE},
    )
    taken = dict(cursor.fetchall())
    if not taken:
        return []
    cursor.execute("SELECT task_id, id FROM jobs_job WHERE id = ANY(%s) AND status IN ('failed', 'cancelled') ORDER BY id", [list(taken)])
    ended = dict(cursor.fetchall())
    found = results.read(cursor, ended)
    return [(id, found[task_id], taken[id]) for task_id, id in ended.items()]


def keep(cursor: Any, job: int, only_errbacks: bool) -> None:
    """Put a job that was struck off in this transaction back."""
    cursor.execute("INSERT INTO jobs_aftermath (job_id, only_errbacks) VALUES (%s, %s)", [job, only_errbacks])
