"""What the leader asks for at each tick: the rows that are due, and when the next one will be."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import inf
from typing import Any, Final

from jobs.celery_app.messages import Row
from jobs.domain.priority import priority_of
from jobs.leader.window import MARK, Lane, Sent, Window
from jobs.store.locks import ALONE_HELD
from jobs.store.many import array, text_array
from jobs.store.transitions import PENDING

Place = tuple[str, int]  # run_at and id of the last row that was picked from a lane
START: Final[Place] = ("-infinity", 0)
STORED: Final = 32_768  # bytes, as PostgreSQL keeps them, compressed: what has more is read by itself, when it is sent
MOST: Final = 5_000  # rows of one pick, those of the highest lanes: many workers of many queues have room for more than a tick can send
_IS_LONG: Final = f"pg_column_size(j.args) + pg_column_size(j.kwargs) + coalesce(pg_column_size(j.options), 0) > {STORED}"
_WHO: Final = "j.id, j.task_id, j.task"
_HOW: Final = "j.runs, j.attempts, j.max_retries, j.timeout, j.autoretry"
_WHEN: Final = "j.priority, greatest(extract(epoch FROM j.run_at), 0)::float"
# Long ones together, as many as a window takes, could be more than the memory takes.
_COLUMNS: Final = (
    f"{_WHO}, CASE WHEN {_IS_LONG} THEN '' ELSE j.args::text END, CASE WHEN {_IS_LONG} THEN '' ELSE j.kwargs::text END,"
    f" {_HOW}, CASE WHEN {_IS_LONG} THEN NULL ELSE j.options::text END, {_WHEN}"
)
_WHOLE: Final = f"SELECT {_WHO}, j.args::text, j.kwargs::text, {_HOW}, j.options::text, {_WHEN} FROM jobs_job j WHERE id = %s AND {PENDING}"
# Prepared, because planning took longer than reading. The session forces generic plans; the marks are a hashed subplan then, where
# <> ALL would compare each row with each of them.
# statement_timestamp() is stable, so that it bounds the index scan (clock_timestamp() is not: all scheduled rows would be read).
PREPARE: Final = f"""
PREPARE jobs_due (text[], int[], timestamptz[], bigint[], int[], bigint[]) AS
SELECT job.* FROM unnest($1, $2, $3, $4, $5) AS lane (queue, priority, run_at, id, room),
     LATERAL (SELECT lane.queue, j.run_at::text AS due_at, {_COLUMNS} FROM jobs_job j
               WHERE j.queue = lane.queue AND j.status = 'pending' AND j.priority = lane.priority
                 AND j.run_at <= statement_timestamp() AND (j.run_at, j.id) > (lane.run_at, lane.id) AND j.losses < 2
                 AND {MARK} NOT IN (SELECT unnest($6))
               ORDER BY j.run_at, j.id LIMIT lane.room) job LIMIT {MOST};
PREPARE jobs_next (text[], int[]) AS
SELECT extract(epoch FROM min(next.run_at) - clock_timestamp())::float FROM unnest($1, $2) AS lane (queue, priority),
     LATERAL (SELECT run_at FROM jobs_job j WHERE j.queue = lane.queue AND j.status = 'pending' AND j.priority = lane.priority
                 AND j.run_at > statement_timestamp() ORDER BY j.run_at LIMIT 1) next"""
DUE: Final = "EXECUTE jobs_due (%s::text[], %s, %s::timestamptz[], %s, %s, %s)"
NEXT: Final = "EXECUTE jobs_next (%s::text[], %s)"
SUSPECT: Final = f"""
SELECT j.queue, {_COLUMNS} FROM jobs_job j
 WHERE j.losses >= 2 AND j.status = 'pending' AND j.run_at <= statement_timestamp() AND j.queue = ANY (%s)
   AND NOT EXISTS (SELECT 1 FROM jobs_job r WHERE r.losses >= 2 AND r.status = 'running')
   AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE {ALONE_HELD})
 ORDER BY j.priority DESC, j.run_at LIMIT 1"""
UNCLAIMED: Final = f"SELECT id, runs, priority FROM jobs_job WHERE id = ANY (%s) AND {PENDING}"
_MOVED: Final = """
SELECT lying.id, lying.queue FROM unnest(%s::bigint[], %s::text[]) AS lying (id, queue), jobs_job j
 WHERE j.id = lying.id AND j.queue <> lying.queue"""


def values_of_due(rooms: Mapping[Lane, int], after: Mapping[Lane, Place], marks: Iterable[int]) -> list[Any]:
    """What DUE is given: for each lane how many rows, and behind which place."""
    places = [after.get(lane, START) for lane in rooms]
    return [
        [queue for queue, _ in rooms], array(priority_of(lane) for _, lane in rooms), [place[0] for place in places],
        array(place[1] for place in places), array(rooms.values()), array(marks),
    ]  # fmt: skip


def values_of_next(lanes: Collection[Lane]) -> list[Any]:
    """What NEXT is given."""
    return [[queue for queue, _ in lanes], array(priority_of(lane) for _, lane in lanes)]


def whole(cursor: Any, row: Row) -> Row | None:
    """The row with its arguments, where it was picked without; None when it does not wait any more, or was changed."""
    if row.args:
        return row
    cursor.execute(_WHOLE, [row.id])
    found = cursor.fetchone()
    read = None if found is None else replace(Row(*found), alone=row.alone)
    return read if read is not None and read.sent == row.sent else None


def until_due(cursor: Any, lanes: Collection[Lane]) -> float:
    """Seconds until the next job of these lanes becomes due; inf when none waits for its time."""
    if not lanes:
        return inf
    cursor.execute(NEXT, values_of_next(lanes))
    seconds = cursor.fetchone()[0]
    return inf if seconds is None else float(seconds)


def pending(cursor: Any, sent: list[Sent]) -> set[Sent]:
    """Those that are not claimed yet."""
    if not sent:
        return set()
    cursor.execute(UNCLAIMED, [[id for id, _, _ in sent]])
    return set(sent) & set(cursor.fetchall())


def moved(cursor: Any, window: Window) -> set[tuple[int, str]]:
    """Of what lies in Redis: jobs, and the queue, that wait in another queue by now. No worker can claim them by that message."""
    lying = [(sent[0], queue) for (queue, _), rows in window.lying.items() for sent in rows]
    if not lying:
        return set()
    cursor.execute(_MOVED, [array(id for id, _ in lying), text_array(queue for _, queue in lying)])
    return set(cursor.fetchall())
