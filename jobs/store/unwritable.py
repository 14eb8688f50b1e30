"""What becomes of a run of a living worker that has ended, and whose end cannot be written."""

from typing import Any, Final

from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.domain.outcomes import Outcome
from jobs.store import transitions
from jobs.store.transitions import FENCE, REVOKED, Failure, Run

REFUSED: Final = Failure(error_class="Unwritable", message=own_failures.UNWRITABLE, outcome=Outcome.LOST)
WITHOUT: Final = Failure(error_class="NoOutcome", message=own_failures.WITHOUT_END, outcome=Outcome.LOST)


def take_away(cursor: Any, run: Run, failure: Failure) -> bool:
    """running -> pending, a loss more; failed when these are too many. Asked to stop, it is cancelled. False: not the job's run now."""
    cursor.execute(f"SELECT task, losses, cancel_requested_at IS NOT NULL OR {REVOKED} FROM jobs_job WHERE {FENCE} FOR UPDATE", run.fence)
    row = cursor.fetchone()
    if row is None:
        return False
    task, losses, is_cancelled = row
    if losses + 1 >= configuration().max_lost and not is_cancelled:
        return transitions.bury(cursor, run, failure, task=task)
    return transitions.lose(cursor, run, failure)
