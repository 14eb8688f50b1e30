"""The end of a job and the one that it sends, a chain's next link, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.domain.priority import HIGHEST
from jobs.store.insert import NewJob
from jobs.store.tell import tell
from jobs.store.transitions import FENCE, RUNNING, Run

_SENT: Final = (
    "task", "args", "kwargs", "queue", "priority", "run_at", "max_retries", "autoretry", "timeout", "options", "task_id",
)  # fmt: skip
STALE_S: Final = 0.2  # between the look at what is due and the start of the job that is handed on
_ENDED = f"""ended AS (
  UPDATE jobs_job SET status = 'completed', finished_at = clock_timestamp(), result = %(result)s::json, result_meta = %(meta)s::json
   WHERE {FENCE}
     AND NOT EXISTS (SELECT FROM jobs_job other WHERE other.task_id = %(task_id)s)
     AND NOT EXISTS (SELECT FROM jobs_storedresult WHERE task_id = %(task_id)s AND state = 'REVOKED')
  RETURNING id, task_id, finished_at)"""
_LINKED = f"""
WITH {_ENDED},
sent AS (
  INSERT INTO jobs_job (task, args, kwargs, queue, priority, run_at, max_retries, autoretry, timeout, options, task_id)
  SELECT %(task)s, %(args)s::json, %(kwargs)s::json, %(queue)s, %(priority)s::smallint,
         coalesce(%(run_at)s::timestamptz, clock_timestamp()), %(max_retries)s::int, %(autoretry)s::boolean, %(timeout)s::int,
         %(options)s::json, %(task_id)s
    FROM ended)
SELECT id, {tell("task_id")} FROM ended"""
# One look into the index of what is due for each queue and priority, as PostgreSQL saw it when the statement began: one that had to
# wait for the row's lock hands nothing on. `jobs.handed`: the trigger that wakes the leader lets it sleep.
_HANDED_ON = f"""
WITH {_ENDED},
others AS (
  SELECT EXISTS (SELECT FROM unnest(%(queues)s::text[]) AS q (queue), generate_series(%(priority)s::int, {HIGHEST}) AS p (priority),
    LATERAL (SELECT FROM jobs_job w WHERE w.status = 'pending' AND w.queue = q.queue AND w.priority = p.priority
                AND w.run_at <= statement_timestamp() ORDER BY w.run_at LIMIT 1) first) AS due),
chosen AS MATERIALIZED (
  SELECT at, taken, NOT due AND taken < {STALE_S} AS begins
    FROM (SELECT finished_at AS at, due, extract(epoch FROM clock_timestamp() - statement_timestamp())::float AS taken
            FROM ended, others OFFSET 0) looked),
sent AS (
  INSERT INTO jobs_job (task, args, kwargs, queue, priority, max_retries, autoretry, timeout, options, task_id, created_at, run_at,
                        status, runs, attempts, worker, started_at, deadline_at)
  SELECT %(task)s, %(args)s::json, %(kwargs)s::json, %(queue)s, %(priority)s::smallint, %(max_retries)s::int, %(autoretry)s::boolean,
         %(timeout)s::int, %(options)s::json, %(task_id)s, at, at, CASE WHEN begins THEN 'running' ELSE 'pending' END,
         begins::int, begins::int, CASE WHEN begins THEN %(worker)s::int END, CASE WHEN begins THEN at END,
         CASE WHEN begins THEN at + make_interval(secs => %(timeout)s::int) END
    FROM chosen
  RETURNING id, CASE WHEN status = 'running' THEN set_config('jobs.handed', 'yes', true) END AS handed)
SELECT CASE WHEN handed IS NULL THEN 0 ELSE sent.id END, taken, {tell("task_id")} FROM ended, chosen, sent"""


def complete_linked(cursor: Any, run: Run, *, result: str | None, meta: str | None, new: NewJob) -> bool:
    """running -> completed, and the one message that its end has sent becomes a row, in one statement.

    False, and nothing is written, when the run is not the job's any more, or when the message needs more than an insert: its
    task_id has a row already, or was revoked.
    """
    values = {name: getattr(new, name) for name in _SENT}
    cursor.execute(_LINKED, values | {**run.fence, "result": result, "meta": meta})
    return bool(cursor.rowcount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The end of a link of a chain, and what became of the next."""

    begun: int  # the number of the job whose first run is this worker's now; 0: it waits as any other
    seconds: float  # that PostgreSQL took for the end and the look at what is due, without the commit


def complete_handing_on(
    cursor: Any, run: Run, *, result: str | None, meta: str | None, new: NewJob, worker: int, queues: Sequence[str]
) -> Linked | None:
    """The same, and the next job is `running` here at once if nothing that is due in `queues` goes before it.

    None, and nothing is written: refused. To be called in a transaction of its own, and only for a job that is due at once.
    """
    values = {name: getattr(new, name) for name in _SENT}
    more = {**run.fence, "result": result, "meta": meta, "worker": worker, "queues": list(queues)}
    cursor.execute(_HANDED_ON, values | more)
    row = cursor.fetchone()
    return None if row is None else Linked(begun=row[0], seconds=row[1])


def begun_here(cursor: Any, new: NewJob, worker: int) -> Linked:
    """What `complete_handing_on` has done, if its answer was lost. A job that was claimed here since has begun later than it was made."""
    cursor.execute(
        f"SELECT id FROM jobs_job WHERE task_id = %s AND {RUNNING} AND runs = 1 AND worker = %s AND started_at = created_at",
        [new.task_id, worker],
    )
    row = cursor.fetchone()
    return Linked(begun=row[0] if row else 0, seconds=0.0)
