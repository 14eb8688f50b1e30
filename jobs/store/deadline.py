"""What becomes of a run that is past its deadline and whose body nobody could end."""

import random
from dataclasses import dataclass
from typing import Any

from jobs.conf import configuration
from jobs.domain import own_failures, readable, retry
from jobs.domain.outcomes import Outcome
from jobs.store import transitions
from jobs.store.transitions import FENCE, Failure, Run

FAILURE = Failure(error_class="TimeLimitExceeded", message=own_failures.TIME_LIMIT, outcome=Outcome.TIMED_OUT)
_ROW = f"""SELECT task, attempts, max_retries, autoretry, cancel_requested_at IS NOT NULL,
                  CASE WHEN strpos(options::text, %(spent)s) > 0 THEN options::text END
             FROM jobs_job WHERE {FENCE} FOR UPDATE"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """A run that was taken away."""

    task: str
    buried: bool


def time_out(cursor: Any, run: Run, *, rng: random.Random) -> TimedOut | None:
    """running -> pending, failed or (when that was asked) cancelled. None: the run is no longer the job's."""
    cursor.execute(_ROW, run.fence | {"spent": retry.SPENT})
    row = cursor.fetchone()
    if row is None:
        return None
    task, attempts, max_retries, autoretry, cancelled, options = row
    limits = configuration()
    pause = retry.pause(
        attempts + _spent(options), autoretry=autoretry, max_retries=max_retries, backoff=limits.retry_backoff,
        maximum=limits.retry_backoff_max, rng=rng,
    )  # fmt: skip
    if cancelled:
        transitions.cancel_running(cursor, run, FAILURE)
    elif pause is not None:
        transitions.retry(cursor, run, FAILURE, delay=pause)
    else:
        transitions.bury(cursor, run, FAILURE, task=task)
        return TimedOut(task=task, buried=True)
    return TimedOut(task=task, buried=False)


def _spent(options: str | None) -> int:
    """Before the job was made, as its message says."""
    try:
        message = readable.loads(options or "{}")
    except ValueError:  # too deep, or digits without end
        return 0
    return retry.spent(message.get("headers")) if isinstance(message, dict) else 0
