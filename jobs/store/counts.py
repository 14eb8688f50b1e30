"""How many jobs there are: exact up to 10,000, an estimate from a sample above."""

from datetime import datetime
from typing import Any, Final

from django.core.cache import cache
from django.db import connections

from jobs.conf import configuration
from jobs.domain.statuses import State

EXACT: Final = 10_000
_KEPT: Final = 1.0  # seconds
_KEPT_ESTIMATE: Final = 3.0  # seconds: a sample is dear, and no better when it is newer
_KEY: Final = "jobs-counts"
_SAMPLED: Final = 10_000  # rows that an estimate looks at
# Each part is read from an index, in its order, and ends after EXACT rows.
_MOST: Final = EXACT + 1
# As the planner reckons, for the table has grown since it was analysed; before that, by what a block holds of jobs of no great size.
_PER_BLOCK: Final = 10
_ROWS: Final = f"""
       (SELECT reltuples FROM pg_class WHERE oid = 'jobs_job'::regclass),
       (SELECT pg_relation_size(oid) / current_setting('block_size')::float
                * CASE WHEN reltuples > 0 THEN reltuples / greatest(relpages, 1) ELSE {_PER_BLOCK} END
          FROM pg_class WHERE oid = 'jobs_job'::regclass)"""
_EXACT: Final = f"""
SELECT count(*) FILTER (WHERE attempts = 0 AND run_at <= clock_timestamp()),
       count(*) FILTER (WHERE attempts = 0 AND run_at > clock_timestamp() AND run_at < '9999-01-01+0'),
       count(*) FILTER (WHERE attempts > 0), count(*) FILTER (WHERE attempts = 0 AND run_at >= '9999-01-01+0'), count(*),
       min(run_at) FILTER (WHERE attempts = 0 AND run_at > clock_timestamp() AND run_at < '9999-01-01+0'),
       min(run_at) FILTER (WHERE attempts > 0 AND run_at > clock_timestamp()),
       (SELECT count(*) FROM (SELECT 1 FROM jobs_job WHERE status = 'running' ORDER BY worker LIMIT {_MOST}) part),
       (SELECT count(*) FROM (SELECT 1 FROM jobs_job WHERE status = 'completed' AND finished_at IS NOT NULL
                               ORDER BY finished_at LIMIT {_MOST}) part),
       (SELECT count(*) FROM (SELECT 1 FROM jobs_job WHERE status = 'failed' AND finished_at IS NOT NULL
                               ORDER BY finished_at LIMIT {_MOST}) part),
       (SELECT count(*) FROM (SELECT 1 FROM jobs_job WHERE status = 'cancelled' AND finished_at IS NOT NULL
                               ORDER BY finished_at LIMIT {_MOST}) part), {_ROWS}
  FROM (SELECT attempts, run_at FROM jobs_job WHERE status = 'pending'
         ORDER BY queue LIMIT {_MOST}) part"""
# The same blocks each time: others would come from the disk, and the number would jump.
_SAMPLE: Final = """
SELECT CASE WHEN status <> 'pending' THEN status WHEN attempts > 0 THEN 'retrying'
            WHEN run_at >= '9999-01-01+0' THEN 'replaced'
            WHEN run_at > clock_timestamp() THEN 'scheduled' ELSE 'queued' END, count(*)
  FROM jobs_job TABLESAMPLE SYSTEM (%s) REPEATABLE (1) GROUP BY 1"""


class Number(int):
    """A count; `estimated` when nobody counted to the end."""

    estimated = False
    next_at: datetime | None = None  # when the first of scheduled or retrying jobs is due; None: nobody looked at all of them


class Estimate(Number):
    """A count that a sample stands for."""

    estimated = True


def counts() -> dict[State, Number]:
    """How many jobs are in each state, one second old at most, three where they are estimates."""
    found: dict[State, Number] | None = cache.get(_KEY)
    if found is None:
        found = _counted()
        estimated = any(number.estimated for number in found.values())
        cache.set(_KEY, found, _KEPT_ESTIMATE if estimated else _KEPT)
    return found


def total(numbers: dict[State, Number]) -> Number:
    """The sum; an estimate when a part of it is."""
    kind = Estimate if any(number.estimated for number in numbers.values()) else Number
    return kind(sum(numbers.values()))


def shown(numbers: dict[State, Number], chosen: str = "") -> list[tuple[State, Number]]:
    """Each state with its number; replaced jobs are rare, their state is shown where there are any, or when it is chosen."""
    return [(state, number) for state, number in numbers.items() if number or state is not State.REPLACED or state.value == chosen]


def _counted() -> dict[State, Number]:
    live = (State.QUEUED, State.SCHEDULED, State.RETRYING, State.REPLACED)
    with connections[configuration().database].cursor() as cursor:
        cursor.execute(_EXACT)
        *parts, pending, scheduled, retrying, running, completed, failed, cancelled, known, rows = cursor.fetchone()
        ended = (State.RUNNING, State.COMPLETED, State.FAILED, State.CANCELLED)
        numbers = dict(zip((*live, *ended), map(Number, (*parts, running, completed, failed, cancelled)), strict=True))
        many = {state for state in ended if numbers[state] > EXACT} | (set(live) if pending > EXACT else set())
        if many:
            sampled = _sampled(cursor, known, rows)
            numbers.update({state: Estimate(sampled.get(state.value, 0)) for state in many})
    if pending <= EXACT:
        numbers[State.SCHEDULED].next_at, numbers[State.RETRYING].next_at = scheduled, retrying
    return {state: numbers[state] for state in State}


def _sampled(cursor: Any, known: float, rows: float) -> dict[str, int]:
    """The numbers that a sample of the table's blocks stands for; `known`: rows when it was analysed, `rows`: by its size now."""
    share = min(_SAMPLED / max(rows, 1.0), 1.0)
    cursor.execute(_SAMPLE, [share * 100])
    found = dict(cursor.fetchall())
    seen = sum(found.values())
    whole = rows if known > 0 and seen else seen / share
    return {state: round(whole * number / max(seen, 1)) for state, number in found.items()}
