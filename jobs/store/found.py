"""Where jobs are in the order of their numbers."""

from datetime import datetime, timedelta
from typing import Final

from django.db import connections

from jobs.conf import configuration
from jobs.domain.numbers import number_of
from jobs.models import Job
from jobs.store.numbering import LAST

SLACK: Final = timedelta(minutes=10)  # a transaction may commit its numbers so much later than it took them
# Of those that PostgreSQL gave: one that an INSERT brought says nothing of the others.
_ENDS: Final = f"SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM jobs_job WHERE id BETWEEN 1 AND {LAST}"
# Halves the numbers until one is left: some 20 steps, each reads one row by its number.
_AT: Final = f"""
WITH RECURSIVE bounds (low, high) AS (
    SELECT low, high + 1 FROM ({_ENDS}) ends (low, high)
  UNION ALL
    SELECT CASE WHEN r.at < %(at)s THEN r.id + 1 ELSE b.low END,
           CASE WHEN r.at < %(at)s THEN b.high ELSE b.low + (b.high - b.low) / 2 END
      FROM bounds b
      LEFT JOIN LATERAL (SELECT id, created_at AS at FROM jobs_job WHERE id >= b.low + (b.high - b.low) / 2 ORDER BY id LIMIT 1) r ON true
     WHERE b.low < b.high)
SELECT min(high) FROM bounds"""


def number_before(at: datetime) -> int:
    """A number below those of all jobs created at this time or later."""
    return _number_at(_moved(at, -SLACK))


def number_after(at: datetime) -> int:
    """A number above those of all jobs created at this time or earlier."""
    return _number_at(_moved(at, SLACK))


def ends() -> tuple[int, int]:
    """The smallest and the greatest number that PostgreSQL gave; zeros when there is no such job."""
    with connections[configuration().database].cursor() as cursor:
        cursor.execute(_ENDS)
        oldest, newest = cursor.fetchone()
        return oldest, newest


def by_number_or_id(text: str) -> list[int]:
    """The job with this number, or with this Celery id, which is one word of eight characters at least."""
    text = text.strip().replace("\0", "")
    number = number_of(text)
    numbers = [] if number is None else [number]
    if len(text) < 8 or " " in text:
        return numbers
    jobs = Job.objects.using(configuration().database).order_by()
    return numbers + list(jobs.filter(task_id=text).values_list("pk", flat=True))


def _moved(at: datetime, by: timedelta) -> datetime:
    """So much earlier or later; at the ends of the calendar the time itself."""
    try:
        return at + by
    except OverflowError:
        return at


def _number_at(at: datetime) -> int:
    with connections[configuration().database].cursor() as cursor:
        cursor.execute(_AT, {"at": at})
        return int(cursor.fetchone()[0])
