"""An outcome that was refused: an earlier try of the same write had come through, or the run was taken away before."""

from typing import Any, Final

from jobs.domain import own_failures
from jobs.store.transitions import STOPPED, Failure, Run, parameters

LATE: Final = own_failures.OUTCOME_CAME_LATE % {"error": ""}


def was_written(cursor: Any, run: Run, failure: Failure | None = None) -> bool:
    """Whether a write of this run's end was committed although its answer was lost. To be asked when the same write is refused after that.

    Whoever else ends a run leaves an attempt of it, other than the one of `failure` (None: the end leaves none).
    """
    values = parameters(run, failure or STOPPED)
    cursor.execute(
        """SELECT FROM jobs_job WHERE id = %(id)s AND runs >= %(runs)s
              AND NOT (runs = %(runs)s AND (status = 'running' OR worker <> coalesce(%(owner)s, worker))) IS TRUE
              AND NOT EXISTS (
                SELECT FROM jobs_attempt WHERE job_id = %(id)s AND run = %(runs)s
                   AND (outcome, error_class, traceback) IS DISTINCT FROM (%(outcome)s, %(error_class)s, %(traceback)s))""",
        values,
    )
    return bool(cursor.rowcount)


def was_claimed(cursor: Any, run: Run, worker: int) -> bool:
    """Whether this worker's claim was committed although its answer was lost."""
    cursor.execute("SELECT FROM jobs_job WHERE id = %s AND runs = %s AND status = 'running' AND worker = %s", [run.id, run.runs, worker])
    return bool(cursor.rowcount)


def note(cursor: Any, run: Run) -> bool:
    """Say on the attempt that was taken away that its outcome came after all. False: there is no such attempt."""
    cursor.execute("UPDATE jobs_attempt SET message = message || %s WHERE job_id = %s AND run = %s", [LATE, run.id, run.runs])
    return bool(cursor.rowcount)
