"""What has ended lately: how many, how long they waited and how long they ran."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from django.core.cache import cache

from jobs.store import caller

SAMPLE: Final = 300  # jobs of each step that the times are taken from, so that a week of two million is read as fast as an hour


class Period(IntEnum):
    """The hours that are shown."""

    HOUR = 1
    DAY = 24
    WEEK = 168


_STEP: Final = {Period.HOUR: 60, Period.DAY: 1800, Period.WEEK: 10_800}  # seconds
_KEPT: Final = {Period.HOUR: 5, Period.DAY: 60, Period.WEEK: 300}  # seconds in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds: the median and what 95% do not exceed; None when nothing ended."""

    half: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What ended in one step of the period."""

    start: datetime
    completed: int
    failed: int
    wait: Times
    run: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The steps of a period, the oldest first, and the times of all of it."""

    period: Period
    seconds: int  # of a step
    steps: tuple[Step, ...]
    wait: Times
    run: Times


# Each step reads its own part of the index on (status, finished_at).
_STEPS = """WITH s AS (SELECT start, start + make_interval(secs => %(step)s) AS stop
                FROM generate_series(%(first)s, %(last)s, make_interval(secs => %(step)s)) start)"""
_READ = f"""{_STEPS},
counts AS (
SELECT s.start, (SELECT count(*) FROM jobs_job WHERE status = 'completed' AND finished_at >= s.start AND finished_at < s.stop) AS completed,
       (SELECT count(*) FROM jobs_job WHERE status = 'failed' AND finished_at >= s.start AND finished_at < s.stop) AS failed FROM s),
times AS (
SELECT s.start, percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY j.wait) AS wait,
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY j.run) AS run
  FROM s, LATERAL (SELECT greatest(extract(epoch FROM started_at - greatest(run_at, created_at))::float, 0) AS wait,
                          greatest(extract(epoch FROM finished_at - started_at)::float, 0) AS run
                     FROM jobs_job WHERE status = 'completed' AND finished_at >= s.start AND finished_at < s.stop
                    ORDER BY finished_at DESC LIMIT %(sample)s) j
 GROUP BY ROLLUP (s.start))
SELECT c.start, c.completed, c.failed, t.wait, t.run FROM counts c FULL JOIN times t ON t.start = c.start ORDER BY c.start NULLS LAST"""


def history(period: Period, now: datetime) -> History:
    """What ended in the period before `now`; a few seconds old at most, more for longer periods."""
    key = f"jobs-history-{period.value}"
    found: History | None = cache.get(key)
    if found is None:
        found = _read(period, now)
        cache.set(key, found, _KEPT[period])
    return found


def _read(period: Period, now: datetime) -> History:
    step = _STEP[period]
    last = datetime.fromtimestamp(now.timestamp() // step * step, tz=now.tzinfo)
    first = last - timedelta(seconds=period.value * 3600 - step)
    values: dict[str, Any] = {"first": first, "last": last, "step": step, "sample": SAMPLE}
    with caller.cursor() as cursor:
        cursor.execute(_READ, values)
        *rows, (_, _, _, wait, run) = cursor.fetchall()  # the last one is of the whole period
    steps = [
        Step(start=start, completed=completed, failed=failed, wait=_times(waits), run=_times(runs))
        for start, completed, failed, waits, runs in rows
    ]
    return History(period=period, seconds=step, steps=tuple(steps), wait=_times(wait), run=_times(run))


def _times(values: Sequence[Any] | None) -> Times:
    return Times(half=values[0], most=values[1]) if values else Times()
