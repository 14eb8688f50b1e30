"""How many jobs there are: exact up to 10,000, an estimate from a sample above."""

from typing import Any, Final

from django.core.cache import cache
from django.db import connections

from jobs.conf import configuration
from jobs.domain.statuses import State, Status

EXACT: Final = 10_000
_KEPT: Final = 1.0  # seconds
_KEY: Final = "jobs-counts"
_SAMPLED: Final = 20_000  # rows that an estimate looks at
# Each of these is read from an index, in its order, and ends after EXACT rows.
_CAPPED: Final = {
    Status.RUNNING: "status = 'running' ORDER BY worker",
    Status.COMPLETED: "status = 'completed' AND finished_at IS NOT NULL ORDER BY finished_at",
    Status.FAILED: "status = 'failed' AND finished_at IS NOT NULL ORDER BY finished_at",
    Status.CANCELLED: "status = 'cancelled' AND finished_at IS NOT NULL ORDER BY finished_at",
}
_PENDING = f"""
SELECT count(*) FILTER (WHERE attempts = 0 AND run_at <= clock_timestamp()),
       count(*) FILTER (WHERE attempts = 0 AND run_at > clock_timestamp()), count(*) FILTER (WHERE attempts > 0), count(*)
  FROM (SELECT attempts, run_at FROM jobs_job WHERE status = 'pending' ORDER BY queue, priority DESC, run_at, id LIMIT {EXACT + 1}) part"""
_SAMPLE = """
SELECT CASE WHEN status <> 'pending' THEN status WHEN attempts > 0 THEN 'retrying'
            WHEN run_at > clock_timestamp() THEN 'scheduled' ELSE 'queued' END, count(*) FROM jobs_job TABLESAMPLE SYSTEM (%s) GROUP BY 1"""


class Number(int):
    """A count; `estimated` when nobody counted to the end."""

    estimated = False


class Estimate(Number):
    """A count that a sample stands for."""

    estimated = True


def counts() -> dict[State, Number]:
    """How many jobs are in each state, one second old at most."""
    found: dict[State, Number] | None = cache.get(_KEY)
    if found is None:
        found = _counted()
        cache.set(_KEY, found, _KEPT)
    return found


def total(numbers: dict[State, Number]) -> Number:
    """The sum; an estimate when a part of it is."""
    kind = Estimate if any(number.estimated for number in numbers.values()) else Number
    return kind(sum(numbers.values()))


def _counted() -> dict[State, Number]:
    with connections[configuration().database].cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM (SELECT 1 FROM jobs_job WHERE {where} LIMIT {EXACT + 1}) part)"
                                             for where in _CAPPED.values()))  # fmt: skip
        ended = dict(zip(_CAPPED, cursor.fetchone(), strict=True))
        cursor.execute(_PENDING)
        *parts, pending = cursor.fetchone()
        numbers: dict[State, Number] = {State(status.value): Number(number) for status, number in ended.items()}
        live = (State.QUEUED, State.SCHEDULED, State.RETRYING)
        numbers.update(zip(live, map(Number, parts), strict=True))
        many = {state for state in numbers if state not in live and numbers[state] > EXACT} | (set(live) if pending > EXACT else set())
        if many:
            sampled = _sampled(cursor)
            numbers.update({state: Estimate(max(sampled.get(state.value, 0), 0)) for state in many})
    return {state: numbers[state] for state in State}


def _sampled(cursor: Any) -> dict[str, int]:
    """The numbers that a sample of the table's blocks stands for."""
    cursor.execute("SELECT greatest(reltuples, 1), greatest(pg_relation_size(oid) / 8192.0, 1), greatest(relpages, 1) FROM pg_class"
                   " WHERE oid = 'jobs_job'::regclass")  # fmt: skip
    tuples, pages, pages_then = cursor.fetchone()
    rows = tuples * float(pages) / pages_then  # as the planner reckons: the table has grown since it was analysed
    share = min(_SAMPLED / max(rows, 1.0), 1.0)
    cursor.execute(_SAMPLE, [share * 100])
    found = dict(cursor.fetchall())
    seen = sum(found.values())
    whole = rows if tuples > 1 and seen else seen / share
    return {state: round(whole * number / max(seen, 1)) for state, number in found.items()}
