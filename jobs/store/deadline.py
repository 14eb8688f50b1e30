"""What becomes of a run that is past its deadline and whose body nobody could end; and when that is."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.conf import configuration
from jobs.domain import own_failures, readable, retry
from jobs.domain.outcomes import Outcome
from jobs.store import transitions
from jobs.store.transitions import FENCE, RUNNING, Failure, Run

FAILURE = Failure(error_class="TimeLimitExceeded", message=own_failures.TIME_LIMIT, outcome=Outcome.TIMED_OUT)
_ROW = f"""SELECT task, attempts, max_retries, autoretry, cancel_requested_at IS NOT NULL,
                  CASE WHEN strpos(options::text, %(spent)s) > 0 THEN options::text END
             FROM jobs_job WHERE {FENCE} FOR UPDATE"""
# Where the clock was set back, what began in what is to come now began before that.
_BEGUN: Final = """
SELECT id, runs FROM jobs_job WHERE status = 'running' AND deadline_at IS NOT NULL
   AND (started_at <= to_timestamp(%s) OR started_at > clock_timestamp())"""
_OWED: Final = f"""
SELECT j.id, j.runs, o.seconds FROM unnest(%(ids)s::bigint[], %(runs)s::int[], %(seconds)s::float[]) AS o (id, runs, seconds)
  JOIN jobs_job j ON j.id = o.id AND j.runs = o.runs WHERE j.{RUNNING}"""
_MOVE: Final = f"""
UPDATE jobs_job SET deadline_at = deadline_at + make_interval(secs => free.seconds) FROM ({_OWED} FOR UPDATE OF j SKIP LOCKED) free
 WHERE jobs_job.id = free.id RETURNING jobs_job.id, jobs_job.runs"""


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


def begun(cursor: Any, *, before: float) -> list[Run]:
    """What runs with a deadline and began before (seconds since 1970)."""
    cursor.execute(_BEGUN, [before])
    return [Run(id=id, runs=runs) for id, runs in cursor.fetchall()]


def move(cursor: Any, owed: Mapping[Run, float]) -> dict[Run, float]:
    """Move the deadlines of these runs by so many seconds. Returns what is left of them: rows that someone has locked."""
    values = {"ids": [run.id for run in owed], "runs": [run.runs for run in owed], "seconds": list(owed.values())}
    cursor.execute(_MOVE, values)
    moved = {Run(id=id, runs=runs) for id, runs in cursor.fetchall()}
    if len(moved) == len(owed):
        return {}
    cursor.execute(_OWED, values)
    found = {Run(id=id, runs=runs): seconds for id, runs, seconds in cursor.fetchall()}
    return {run: seconds for run, seconds in found.items() if run not in moved}


def _spent(options: str | None) -> int:
    """Before the job was made, as its message says."""
    try:
        message = readable.loads(options or "{}")
    except ValueError:  # too deep, or digits without end
        return 0
    return retry.spent(message.get("headers")) if isinstance(message, dict) else 0
