"""Rows that are held because their job was replaced by a chain or a chord: they end with what they wait for."""

from collections.abc import Sequence
from typing import Any, Final

from jobs.domain import own_failures
from jobs.domain.statuses import HELD
from jobs.store import interventions, search, transitions
from jobs.store.tell import tell
from jobs.store.transitions import ESCAPED, LINKED, PENDING, Failure

MOST: Final = 50  # looked at in one statement
FORSAKEN: Final = Failure(error_class="ReplacementEnded", message=own_failures.REPLACEMENT_ENDED)
# What will still send a job says its id: in the chain or the chord of its message. A job whose end is still to be told counts as one
# that has not ended. All is seen at one moment: an end and what it sends are one transaction. What waits is read once for all of them.
LIVE: Final = f"""
live AS MATERIALIZED (
  SELECT id, options::text AS said FROM jobs_job
   WHERE (status IN ('pending', 'running') OR id IN (SELECT job_id FROM jobs_aftermath)) AND EXISTS (SELECT FROM asked)
     AND {LINKED})"""
_FORSAKEN: Final = f"""
WITH asked AS MATERIALIZED (
  SELECT id, task_id FROM jobs_job WHERE status = 'pending' AND run_at = %(held)s AND id > %(after)s
     AND started_at < clock_timestamp() - make_interval(secs => %(seconds)s) ORDER BY id LIMIT {MOST}),{LIVE}
SELECT id, task_id, task_id {ESCAPED} OR EXISTS (SELECT FROM live WHERE live.id <> asked.id AND strpos(live.said, asked.task_id) > 0)
  FROM asked ORDER BY 1"""


def cancel(cursor: Any, task_ids: Sequence[str], reason: str) -> None:
    """pending and held -> cancelled, those of these ids: what they were replaced by was cancelled."""
    if task_ids:
        cursor.execute(f"SELECT id FROM jobs_job WHERE task_id = ANY(%s) AND {PENDING} AND run_at = %s", [list(task_ids), HELD])
        interventions.cancel_pending(cursor, [row[0] for row in cursor.fetchall()], reason)


def bury(cursor: Any, task_id: str, failure: Failure, meta: str | None) -> bool:
    """pending and held -> failed: what the job was replaced by has failed."""
    values = transitions.parameters(transitions.Run(id=0, runs=0), failure) | {"task_id": task_id, "held": HELD, "meta": meta}
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'failed', finished_at = clock_timestamp(), last_error = %(last_error)s, result_meta = %(meta)s
            WHERE task_id = %(task_id)s AND {PENDING} AND run_at = %(held)s RETURNING id, task""",
        values,
    )
    row = cursor.fetchone()
    if row is None:
        return False
    cursor.execute(f"SELECT {tell('id')} FROM (SELECT %(task_id)s::text) AS ended (id)", values)
    search.add_error(cursor, row[0], values["error_class"], values["message"])
    return transitions.enter(cursor, values | {"id": row[0]}, row[1])


def bury_forsaken(cursor: Any, seconds: float) -> list[int]:
    """pending and held -> failed, those that nothing will ever end: their numbers. Held for so many seconds at least: what is to be
    sent may be in somebody's hands, who is no job.
    """
    done, after = [], 0
    while True:
        cursor.execute(_FORSAKEN, {"held": HELD, "after": after, "seconds": seconds})
        found = cursor.fetchall()
        for id, task_id, waits in found:
            if not waits and _bury(cursor, id, task_id):
                done.append(id)
        if len(found) < MOST:
            return done
        after = found[-1][0]


def _bury(cursor: Any, id: int, task_id: str) -> bool:
    """Its chain, its chord and its errbacks are told as those of any job that ends without its task."""
    cursor.execute("BEGIN")
    try:
        won = bury(cursor, task_id, FORSAKEN, None)
        if won:
            transitions.leave_aftermath(cursor, [id])
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")
    return won
