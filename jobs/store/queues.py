"""What waits in each queue and lane, and how fast it goes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from jobs.domain import priority
from jobs.domain.statuses import HELD
from jobs.store import caller, locks
from jobs.store.stats import WorkerLine

RECENT: Final = 300.0  # seconds that the pace is taken from
MOST: Final = 10_000  # waiting jobs of one queue that are counted

# Seconds that the oldest due job of a lane has been waiting, since it was due or, if that was past by then, since it was made. The index
# does not know when that was: those that were due first are read, then those that were due before the moment so found, mostly none. Of
# jobs that were made too late 1,000 of a lane are looked through (0.1 s of 30 lanes, where 10,000 took two): one that waits behind more of
# them is not seen before they have gone.
_DUE = """SELECT run_at, greatest(run_at, created_at) AS since FROM jobs_job
           WHERE status = 'pending' AND queue = lane.queue AND priority = lane.priority AND"""
_OLDEST = f"""(SELECT extract(epoch FROM statement_timestamp() - least(found.since, (
          SELECT min(since) FROM ({_DUE} run_at < least(found.since, statement_timestamp()) ORDER BY run_at, id LIMIT 1000) more)))::float
   FROM (SELECT min(since) AS since FROM ({_DUE} run_at <= statement_timestamp() ORDER BY run_at, id LIMIT 100) first) found)"""
# Apart, so that each part is read from the index of its rows. Of what has ended the newest alone: a busy system ends hundreds of
# thousands in this time.
_PARTS = f"""
WITH ended AS (SELECT queue, finished_at FROM jobs_job
                WHERE status = 'completed' AND finished_at > statement_timestamp() - make_interval(secs => %(recent)s)
                ORDER BY finished_at DESC LIMIT %(newest)s),
     looked AS (SELECT CASE WHEN count(*) < %(newest)s THEN %(recent)s
                            ELSE greatest(extract(epoch FROM statement_timestamp() - min(finished_at))::float, 1) END AS seconds FROM ended)
SELECT queue, 0, 0.0, priority, count(*) FILTER (WHERE run_at <= statement_timestamp()) AS waiting,
       count(*) FILTER (WHERE run_at > statement_timestamp()) AS later, {_OLDEST} AS oldest
  FROM jobs_job lane WHERE status = 'pending' GROUP BY queue, priority
UNION ALL
SELECT queue, count(*), 0.0, NULL, 0, 0, NULL FROM jobs_job WHERE status = 'running' GROUP BY queue
UNION ALL
SELECT queue, 0, count(*) * 60 / (SELECT seconds FROM looked), NULL, 0, 0, NULL FROM ended GROUP BY queue
 ORDER BY queue, priority DESC"""
# One look at each lane, so that what is due later is passed by.
_WAITING = f"""SELECT count(*) FROM (SELECT 1 FROM generate_series({priority.LOWEST}, {priority.HIGHEST}) lane, LATERAL (
  SELECT 1 FROM jobs_job WHERE status = 'pending' AND queue = %(queue)s AND priority = lane AND run_at <= statement_timestamp()
   LIMIT %(most)s) due LIMIT %(most)s) part"""

_LATER: Final = "SELECT run_at AT TIME ZONE 'UTC', task_id, task, args::text, kwargs::text, queue, priority, options::text"
# One look at each lane, so that what is due is passed by. statement_timestamp() bounds the index scan, clock_timestamp() would not.
DUE_LATER: Final = f"""
WITH lanes AS (SELECT * FROM unnest(%(queues)s::text[]) q (queue), generate_series({priority.LOWEST}, {priority.HIGHEST}) p (priority)),
next AS (
  SELECT found.id FROM lanes, LATERAL (
    SELECT j.id, j.run_at FROM jobs_job j WHERE j.status = 'pending' AND j.queue = lanes.queue AND j.priority = lanes.priority
       AND j.run_at > statement_timestamp() AND j.run_at < %(held)s ORDER BY j.run_at, j.id LIMIT %(most)s) found
   ORDER BY found.run_at, found.id LIMIT %(most)s)
{_LATER} FROM next JOIN jobs_job USING (id) ORDER BY run_at, id"""
_THOSE_LATER: Final = f"""
{_LATER} FROM jobs_job WHERE task_id = ANY(%(ids)s) AND status = 'pending' AND queue = ANY(%(queues)s)
    AND run_at > statement_timestamp() AND run_at < %(held)s ORDER BY run_at, id LIMIT %(most)s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The jobs of one priority that wait in a queue; the fields are as the queue's."""

    priority: int
    waiting: int
    later: int
    oldest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """One queue: what waits in it and who serves it."""

    name: str
    waiting: int  # due
    later: int  # not due yet: scheduled, between two attempts, or replaced by other tasks
    running: int
    oldest: float | None  # seconds that the oldest due job has been waiting; None: no job is due
    workers: tuple[str, ...]
    rate: float  # jobs completed per minute, over the last RECENT seconds or as long as the newest 2,000 last
    lanes: tuple[Lane, ...]  # in which jobs wait, the highest priority first


def lines(workers: Sequence[WorkerLine]) -> list[QueueLine]:
    """Every queue that has live jobs or a worker, by name."""
    parts: dict[str, list[Any]] = defaultdict(list)
    with caller.cursor() as cursor:
        cursor.execute(_PARTS, {"recent": RECENT, "newest": 2_000})
        for name, *part in cursor.fetchall():
            parts[name].append(part)
    served: dict[str, list[str]] = defaultdict(list)
    for line in workers:
        for queue in line.worker.queues:
            served[queue].append(line.worker.name)
    found = [_queue(name, parts[name], served[name]) for name in sorted({*parts, *served})]
    return [line for line in found if line.lanes or line.running or line.workers]


def _queue(name: str, parts: Sequence[Any], workers: Sequence[str]) -> QueueLine:
    lanes = tuple(Lane(priority=part[2], waiting=part[3], later=part[4], oldest=part[5]) for part in parts if part[2] is not None)
    return QueueLine(
        name=name,
        waiting=sum(lane.waiting for lane in lanes),
        later=sum(lane.later for lane in lanes),
        running=sum(part[0] for part in parts),
        oldest=max((lane.oldest for lane in lanes if lane.oldest is not None), default=None),
        workers=tuple(workers),
        rate=float(sum(part[1] for part in parts)),
        lanes=lanes,
    )


def waiting(queue: str) -> int:
    """How many jobs wait in it and are due; MOST + 1 stands for more."""
    with caller.cursor() as cursor:
        cursor.execute(_WAITING, {"queue": queue, "most": MOST + 1})
        return int(cursor.fetchone()[0])


def names() -> list[str]:
    """The queues in which jobs wait or that a live worker serves, by name: one step of the index for each, however many jobs wait."""
    with caller.cursor() as cursor:
        cursor.execute(
            f"""WITH RECURSIVE step AS (
                 (SELECT queue FROM jobs_job WHERE status = 'pending' ORDER BY queue LIMIT 1)
               UNION ALL
                 SELECT (SELECT j.queue FROM jobs_job j WHERE j.status = 'pending' AND j.queue > step.queue ORDER BY j.queue LIMIT 1)
                   FROM step WHERE step.queue IS NOT NULL)
               SELECT queue FROM step WHERE queue IS NOT NULL
               UNION SELECT json_array_elements_text(queues) FROM jobs_worker WHERE id IN ({locks.HELD_WORKERS})"""
        )
        return sorted(row[0] for row in cursor.fetchall())


def due_later(cursor: Any, queues: Sequence[str], most: int, ids: Sequence[str] | None = None) -> list[Any]:
    """(run_at in UTC, task_id, task, args and kwargs as JSON texts, queue, priority, options as text) of scheduled jobs.

    `ids`: only of those with these Celery ids.
    """
    values = {"queues": list(queues), "held": HELD, "most": most, "ids": list(ids or ())}
    cursor.execute(DUE_LATER if ids is None else _THOSE_LATER, values)
    return [(run_at.replace(tzinfo=UTC), *rest) for run_at, *rest in cursor.fetchall()]
