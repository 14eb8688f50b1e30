"""What became of the newest jobs of each task."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.cache import cache

from jobs.store import caller

NEWEST: Final = 10_000  # completed jobs that are looked at; the window is as long as these last, a day at most
_ENDED = """
WITH c AS (SELECT task, finished_at, extract(epoch FROM finished_at - started_at)::float AS run FROM jobs_job
            WHERE status = 'completed' AND finished_at > statement_timestamp() - interval '24 hours'
            ORDER BY finished_at DESC LIMIT %(newest)s),
     w AS (SELECT CASE WHEN count(*) < %(newest)s THEN statement_timestamp() - interval '24 hours'
                       ELSE min(finished_at) END AS start FROM c),
     f AS (SELECT task FROM jobs_job WHERE status = 'failed' AND finished_at > (SELECT start FROM w)
            ORDER BY finished_at DESC LIMIT %(newest)s),
     ended AS (SELECT task, 1 AS completed, 0 AS failed, run FROM c UNION ALL SELECT task, 0, 1, NULL FROM f)
SELECT (SELECT start FROM w), task, sum(completed), sum(failed),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY run), percentile_cont(0.95) WITHIN GROUP (ORDER BY run)
  FROM ended GROUP BY task"""
_USUAL: Final = "jobs-usual"
LATEST: Final = 2_000  # completed jobs that what is usual is taken from
ENOUGH: Final = 20  # completed jobs that say what is usual
# In the order of the index of those that wait; without one PostgreSQL may look for them among all jobs.
_WAITING = "SELECT task, count(*) FROM (SELECT task FROM jobs_job WHERE status = 'pending' ORDER BY queue LIMIT %s) waiting GROUP BY task"


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeLine:
    """One task in the window."""

    completed: int = 0
    failed: int = 0
    half: float | None = None  # seconds of run time: the median
    most: float | None = None  # and what 95% do not exceed
    waiting: int = 0

    @property
    def rate(self) -> float | None:
        """Failed of all that ended, in percent; None when nothing ended."""
        ended = self.completed + self.failed
        return self.failed * 100 / ended if ended else None


def usual() -> dict[str, float]:
    """The run time in seconds that 95% of a task's newest completed jobs do not exceed, where there were ENOUGH; a minute old at most."""
    found: dict[str, float] | None = cache.get(_USUAL)
    if found is None:
        with caller.cursor() as cursor:
            cursor.execute(_ENDED, {"newest": LATEST})
            found = {task: most for _start, task, completed, _failed, _half, most in cursor.fetchall() if completed >= ENOUGH}
        cache.set(_USUAL, found, 60)
    return found


def lines() -> tuple[datetime | None, dict[str, TypeLine]]:
    """Since when was counted (None: nothing has ended), and the line of each task that has any job."""
    with caller.cursor() as cursor:
        cursor.execute(_WAITING, [NEWEST])
        waiting = dict(cursor.fetchall())
        cursor.execute(_ENDED, {"newest": NEWEST})
        rows = cursor.fetchall()
    found = {
        task: TypeLine(completed=completed, failed=failed, half=half, most=most, waiting=waiting.pop(task, 0))
        for _start, task, completed, failed, half, most in rows
    }
    return rows[0][0] if rows else None, found | {task: TypeLine(waiting=number) for task, number in waiting.items()}
