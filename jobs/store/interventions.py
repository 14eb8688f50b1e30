"""What people do to jobs: the verbs on rows that nobody runs, and the question to stop those that run."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.domain import own_failures, readable
from jobs.domain.numbers import possible
from jobs.domain.statuses import HELD
from jobs.store import search
from jobs.store.many import array, execute_many
from jobs.store.tell import ended
from jobs.store.transitions import FENCE, LINKED, PENDING, RUNNING, Failure, Run, clean, enter, leave_aftermath, parameters

# Whose unique_key no job has that has not ended; of several with one key, the newest.
FREE: Final = """(unique_key IS NULL OR id IN (
                SELECT DISTINCT ON (unique_key) id FROM jobs_job j WHERE id = ANY(%(ids)s::bigint[]) AND status = ANY(%(statuses)s)
                   AND NOT EXISTS (SELECT 1 FROM jobs_job o WHERE o.unique_key = j.unique_key AND o.status IN ('pending', 'running'))
                 ORDER BY unique_key, id DESC))"""
# Jobs in these statuses, locked, that are free.
_ALONE: Final = f"""id IN (SELECT id FROM jobs_job WHERE id = ANY(%(ids)s) AND status = ANY(%(statuses)s) ORDER BY id FOR UPDATE)
              AND {FREE}"""
_EXPIRES: Final = """coalesce(options::text LIKE '%%"expires"%%', false)"""
DECIDED: Final = """NOT EXISTS (SELECT 1 FROM jobs_deadletterqueue d WHERE d.job_id = jobs_job.id AND d.resolution = 'open')"""


def foreseen(cursor: Any, ids: Sequence[int], statuses: Sequence[str], beside: str) -> list[tuple[str, str, bool, int, list[int]]]:
    """Groups of these jobs: their task, their status, whether a verb would change them now, how many they are, the newest of them.

    `beside`: what the verb asks for beside the statuses, FREE, DECIDED or "true".
    """
    cursor.execute(
        f"""SELECT task, status, changes, count(*), (array_agg(id ORDER BY id DESC))[1:5]
              FROM (SELECT id, task, status, status = ANY(%(statuses)s) AND {beside} AS changes
                      FROM jobs_job WHERE id = ANY(%(ids)s::bigint[])) part
             GROUP BY task, status, changes""",
        {"ids": array(possible(ids)), "statuses": list(statuses)},
    )
    return list(cursor.fetchall())


def cancel_pending(cursor: Any, ids: Sequence[int], reason: str = "", *, runs: int | None = None) -> list[int]:
    """pending -> cancelled; the numbers of those that were. `reason` is kept as the last error. `runs`: only after so many runs."""
    cursor.execute(
        ended(
            f"""UPDATE jobs_job SET status = 'cancelled', finished_at = clock_timestamp(), last_error = coalesce(nullif(%s, ''), last_error)
                WHERE id IN (SELECT id FROM jobs_job WHERE id = ANY(%s) AND {PENDING} AND runs = coalesce(%s, runs)
                              ORDER BY id FOR UPDATE)"""
        ),
        [clean(reason, 2_000), list(ids), runs],
    )
    done = [row[0] for row in cursor.fetchall()]
    if done:
        leave_aftermath(cursor, done)
    return done


def cancel(cursor: Any, ids: Sequence[int], by: str) -> list[int]:
    """pending -> cancelled, by a person; the numbers of those that were. Of one that others had been put in the place of it is kept by
    whom, so that what these come to is not run in its place."""
    done = cancel_pending(cursor, ids)
    cursor.execute(
        "UPDATE jobs_job SET cancel_requested_at = clock_timestamp(), cancel_requested_by = %s WHERE id = ANY(%s) AND run_at = %s",
        [clean(by, 200), done, HELD],
    )
    return done


def revoke(cursor: Any, ids: Sequence[int]) -> list[int]:
    """pending -> cancelled, by Celery code: a worker is to send the signal of it (`jobs.celery_app.aftermath`). What runs goes on, and no
    run follows it. The numbers of both."""
    cursor.execute(
        "SELECT FROM jobs_job WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [list(ids)]
    )  # so that none begins, or waits, in between
    done = cancel_pending(cursor, ids, own_failures.REVOKED)
    cursor.execute(
        f"""UPDATE jobs_job SET cancel_requested_by = 'revoke'
            WHERE id = ANY(%s) OR id = ANY(%s) AND {RUNNING} AND cancel_requested_at IS NULL RETURNING id""",
        [done, list(ids)],
    )
    marked = [row[0] for row in cursor.fetchall()]
    leave_aftermath(cursor, done, always=True)
    return marked


def ask_cancel(cursor: Any, ids: Sequence[int], by: str) -> list[int]:
    """Ask the workers of running jobs to stop them; the numbers of those that run."""
    cursor.execute(
        f"""UPDATE jobs_job SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
                   cancel_requested_by = CASE WHEN cancel_requested_at IS NULL THEN %s ELSE cancel_requested_by END
            WHERE id = ANY(%s) AND {RUNNING} RETURNING id""",
        [clean(by, 200), list(ids)],
    )
    return [row[0] for row in cursor.fetchall()]


def is_terminated(cursor: Any, run: Run) -> bool:
    """Whether Celery code has asked to stop this run, not a person."""
    cursor.execute(f"SELECT cancel_requested_by = 'revoke' AND cancel_requested_at IS NOT NULL FROM jobs_job WHERE {FENCE}", run.fence)
    return cursor.fetchone() == (True,)


def reprocess(cursor: Any, ids: Sequence[int], *, changed: bool = False) -> list[int]:
    """failed, cancelled -> pending, due now, with all its retries again; the numbers of those that were.

    Not those whose unique_key belongs to a job that has not ended; of several with one key, the newest. `changed`: with other arguments.
    What had a time by which it should have begun has none any more: a person wants it to run. The message of one that was cancelled
    while it waited may still lie in Redis: where it says other arguments, such a time, or retries that were spent, `runs` goes up, so
    that it claims nothing.
    """
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'pending', attempts = 0, losses = 0,
                  runs = runs + (status = 'cancelled' AND worker IS NULL AND (%(changed)s OR attempts > 0 OR {_EXPIRES}))::int,
                  run_at = clock_timestamp(), finished_at = NULL, started_at = NULL, worker = NULL, deadline_at = NULL, progress = NULL,
                  result_meta = NULL, cancel_requested_at = NULL, cancel_requested_by = ''
            WHERE {_ALONE} RETURNING id""",
        {"ids": list(ids), "statuses": ["failed", "cancelled"], "changed": changed},
    )
    done = [row[0] for row in cursor.fetchall()]
    _never_expire(cursor, done)
    return done


def _never_expire(cursor: Any, ids: Sequence[int]) -> None:
    # Read here: PostgreSQL takes no object apart that has a \u0000 in it.
    cursor.execute(f"SELECT id, options::text FROM jobs_job WHERE id = ANY(%(ids)s) AND {_EXPIRES}", {"ids": list(ids)})
    rows = [(id, text) for id, options in cursor.fetchall() if (text := _without_expiry(options)) is not None]
    if rows:
        execute_many(
            cursor,
            "UPDATE jobs_job SET options = new.options::json FROM (VALUES %s) new (id, options) WHERE jobs_job.id = new.id",
            rows,
        )


def _without_expiry(text: str) -> str | None:
    """The rest of a message without its `expires`; None where it has none, or is none."""
    try:
        options = readable.loads(text)
        del options["headers"]["expires"]
    except (ValueError, TypeError, KeyError):  # anyone may have written the row
        return None
    return json.dumps(options)


def restore(cursor: Any, ids: Sequence[int]) -> list[int]:
    """cancelled -> pending for jobs that were cancelled while they waited: due when they were, attempts as they were; their numbers.

    Not those that others had been put in the place of: what these came to may be past, and nothing else would end them. Not those whose
    unique_key belongs to a job that has not ended; of several with one key, the newest.
    """
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'pending', finished_at = NULL, result_meta = NULL, run_at = run_at, cancel_requested_by = ''
            WHERE {_ALONE} AND cancel_requested_at IS NULL AND worker IS NULL AND run_at < %(held)s RETURNING id""",
        {"ids": list(ids), "statuses": ["cancelled"], "held": HELD},
    )
    return [row[0] for row in cursor.fetchall()]


def change_priority(cursor: Any, ids: Sequence[int], priority: int) -> list[int]:
    """Another priority for jobs that wait; the numbers of those that do."""
    cursor.execute(f"UPDATE jobs_job SET priority = %s WHERE id = ANY(%s) AND {PENDING} RETURNING id", [priority, list(ids)])
    return [row[0] for row in cursor.fetchall()]


def change_queue(cursor: Any, ids: Sequence[int], queue: str) -> list[int]:
    """Another queue for jobs that wait; the numbers of those that do."""
    cursor.execute(f"UPDATE jobs_job SET queue = %s WHERE id = ANY(%s) AND {PENDING} RETURNING id", [queue, list(ids)])
    return [row[0] for row in cursor.fetchall()]


def with_named(cursor: Any, ids: Sequence[int]) -> list[int]:
    """Those whose named arguments can be read and are an object: only they can be given others. A plain INSERT may bring anything."""
    cursor.execute("SELECT id, kwargs::text FROM jobs_job WHERE id = ANY(%s) ORDER BY id", [list(ids)])
    return [id for id, text in cursor.fetchall() if _is_object(text)]


def _is_object(text: str) -> bool:
    try:
        return isinstance(readable.loads(text), dict)
    except ValueError:
        return False


def set_arguments(cursor: Any, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    """Values for named arguments that replace those of waiting jobs; the others are kept, in their order."""
    # Merged here: PostgreSQL takes no object apart that has a \u0000 in it.
    cursor.execute(f"SELECT id, kwargs::text FROM jobs_job WHERE id = ANY(%s) AND {PENDING} ORDER BY id FOR UPDATE", [list(ids)])
    rows = [(id, json.dumps({**json.loads(text), **values})) for id, text in cursor.fetchall()]
    if rows:
        execute_many(
            cursor,
            "UPDATE jobs_job SET kwargs = new.kwargs::json FROM (VALUES %s) new (id, kwargs) WHERE jobs_job.id = new.id",
            rows,
        )


def bury_completed(cursor: Any, id: int, failure: Failure, *, task: str) -> bool:
    """completed -> failed: the admin's way to try the dead letter queue."""
    values = parameters(Run(id=id, runs=0), failure)
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'failed', finished_at = clock_timestamp(), last_error = %(last_error)s
            WHERE id = %(id)s AND status = 'completed' AND ({LINKED}) IS NOT TRUE""",
        values,
    )
    if not cursor.rowcount:
        return False
    search.add_error(cursor, id, values["error_class"], values["message"])
    return enter(cursor, values, task)


def delete_ended(cursor: Any, ids: Sequence[int]) -> list[int]:
    """Remove ended jobs that have no open dead letter, and of whose end nothing is still to be told; the numbers of those that were."""
    cursor.execute(
        f"""WITH gone AS (SELECT id FROM jobs_job WHERE id = ANY(%s) AND status IN ('completed', 'failed', 'cancelled')
             AND {DECIDED} AND NOT EXISTS (SELECT 1 FROM jobs_aftermath m WHERE m.job_id = jobs_job.id) FOR UPDATE),
           a AS (DELETE FROM jobs_attempt WHERE job_id IN (SELECT id FROM gone)),
           d AS (DELETE FROM jobs_deadletterqueue WHERE job_id IN (SELECT id FROM gone))
           DELETE FROM jobs_job WHERE id IN (SELECT id FROM gone) RETURNING id""",
        [list(ids)],
    )
    return [row[0] for row in cursor.fetchall()]
