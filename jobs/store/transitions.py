"""The verbs on a row. Each is one compare-and-set; `runs` (claims ever, never set back) is the fencing token, together with the worker:
a database that has lost its newest transactions (a failover, a backup) gives the same number again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from jobs.domain import own_failures
from jobs.domain.fingerprint import fingerprint
from jobs.domain.outcomes import KEPT, Outcome
from jobs.domain.statuses import EARLIEST, HELD, LATEST
from jobs.store import clock
from jobs.store.insert import NewJob
from jobs.store.tell import ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a job: its number and fencing token (the value of `runs` after the claim, and the worker that has claimed it).

    Without a worker it is whose ever it is: what the leader and a message say of a run.
    """

    id: int
    runs: int
    worker: int | None = field(default=None, compare=False)

    @property
    def fence(self) -> dict[str, Any]:
        """The values of FENCE."""
        return {"id": self.id, "runs": self.runs, "owner": self.worker}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run ended without completing."""

    error_class: str
    message: str
    traceback: str = ""
    outcome: Outcome = Outcome.FAILED


STOPPED: Final = Failure(error_class="JobCancelled", message=own_failures.ASKED_TO_STOP, outcome=Outcome.CANCELLED)


def clean(text: str, limit: int = 100_000) -> str:
    """Text that PostgreSQL can store: without NUL and lone surrogates, and of bounded length."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")[:limit]


# Both are read as text: PostgreSQL takes no object apart that has a \u0000 or half a surrogate pair in it.
# At a claim: how far the run before was is forgotten, a state that a caller has set while the job waited (an abort) stays. The
# fraction is written first (jobs.celery_app.progress).
KEPT_PROGRESS: Final = """CASE WHEN left(progress::text, 11) <> '{"fraction"' THEN progress END"""
REVOKED: Final = "(cancel_requested_by = 'revoke' AND cancel_requested_at IS NULL)"  # by Celery code, which did not ask to stop what runs
LINKED: Final = """strpos(options::text, '"embed"') > 0"""  # it has links, a chain or a chord
ESCAPED: Final = r"""COLLATE "C" ~ E'[^ -~]|["\\\\]'"""  # of an id: JSON says it otherwise, so it is not found in what others say
# The status of a row that is named, asked so that no index of all that run or wait can answer: PostgreSQL would take one, it looks
# small, and meet an entry of each job that ran or waited since the oldest open snapshot.
RUNNING: Final = "status || '' = 'running'"
PENDING: Final = "status || '' = 'pending'"
FENCE = f"id = %(id)s AND runs = %(runs)s AND {RUNNING} AND worker = coalesce(%(owner)s, worker)"
CLAIM: Final = f"""
UPDATE jobs_job SET status = 'running', runs = runs + 1, attempts = attempts + 1, worker = %(worker)s,
       started_at = statement_timestamp(), progress = {KEPT_PROGRESS}, deadline_at = statement_timestamp() + make_interval(secs => timeout)
 WHERE id = %(id)s AND runs = %(runs)s - 1 AND {PENDING} AND run_at <= statement_timestamp()
   AND queue = %(queue)s AND priority = %(priority)s AND task_id = %(task_id)s"""
COMPLETE: Final = ended(
    f"""UPDATE jobs_job SET status = 'completed', finished_at = clock_timestamp(), result = %(result)s::json, result_meta = %(meta)s::json
        WHERE {FENCE}"""
)

# A run that its worker died in is no attempt of the job's, whatever becomes of the job: a loss.
_COUNTED: Final = "attempts = attempts - (%(outcome)s = 'lost')::int, losses = losses + (%(outcome)s = 'lost')::int"

# Locks the row first: an attempt of a run that another transaction is just ending would stay behind.
_ATTEMPT = """
INSERT INTO jobs_attempt (job_id, run, outcome, error_class, message, traceback, worker, started_at, finished_at, delay)
SELECT id, runs, %(outcome)s, %(error_class)s, %(message)s, %(traceback)s,
       coalesce((SELECT w.name FROM jobs_worker w WHERE w.id = jobs_job.worker), jobs_job.worker::text, ''),
       started_at, clock_timestamp(), %(delay)s
  FROM (SELECT * FROM jobs_job WHERE id = %(id)s AND runs = %(runs)s FOR UPDATE) jobs_job WHERE """

# A job that is tried again for months, or polls by retries, would fill the table.
_DROP: Final = f"""
DELETE FROM jobs_attempt WHERE job_id = %(id)s AND run > (SELECT min(run) FROM jobs_attempt WHERE job_id = %(id)s)
   AND id IN (SELECT id FROM jobs_attempt WHERE job_id = %(id)s ORDER BY run DESC OFFSET {KEPT})"""


def _record(cursor: Any, values: dict[str, Any]) -> bool:
    """Keep how the run ended; False when it is no longer the job's."""
    cursor.execute(_ATTEMPT + FENCE, values)
    won = bool(cursor.rowcount)
    if won and values["runs"] > KEPT:
        cursor.execute(_DROP, values)
    return won


def parameters(run: Run, failure: Failure, delay: float | None = None) -> dict[str, Any]:
    return {
        **run.fence,
        "outcome": failure.outcome.value,
        "error_class": clean(failure.error_class, 500),
        "message": clean(failure.message, 20_000),
        "traceback": clean(failure.traceback),
        "last_error": clean(f"{failure.error_class}: {failure.message}", 2_000),
        "delay": delay,
    }


def _is_asked_to_stop(cursor: Any, run: Run) -> bool | None:
    """Whether somebody has asked for a cancel, or has revoked it, by which this run goes on and no other one begins; None when the job is
    not this run's any more. Locks the row."""
    cursor.execute(f"SELECT cancel_requested_at IS NOT NULL OR {REVOKED} FROM jobs_job WHERE {FENCE} FOR UPDATE", run.fence)
    row = cursor.fetchone()
    return None if row is None else bool(row[0])


def claim(cursor: Any, run: Run, *, task_id: str, worker: int, queue: str, priority: int) -> bool:
    """pending -> running, for the run that the message was made for. `run.runs` is the value after the claim.

    `task_id` tells the job from one of the same number in another database that uses the same Redis.
    """
    values = {"id": run.id, "runs": run.runs, "task_id": task_id, "worker": worker, "queue": queue, "priority": priority}
    cursor.execute(CLAIM, values)
    return bool(cursor.rowcount)


def complete(cursor: Any, run: Run, *, result: str | None, meta: str | None = None) -> bool:
    """running -> completed, with the result as JSON text; None means that nobody asked for it."""
    cursor.execute(COMPLETE, {**run.fence, "result": result, "meta": meta})
    return bool(cursor.rowcount)


def retry(
    cursor: Any,
    run: Run,
    failure: Failure,
    *,
    delay: float,
    run_at: datetime | None = None,
    new: NewJob | None = None,
    meta: str | None = None,
) -> bool:
    """running -> pending, due in `delay` seconds (or at `run_at`); the attempt is recorded and stays spent.

    With `new` the job goes on with that message's arguments, options, queue, priority and time limit.
    Asked to stop, it is cancelled instead.
    """
    asked = _is_asked_to_stop(cursor, run)
    if asked:
        return _cancel_asked(cursor, run, failure, meta)
    if asked is None:
        return False
    if run_at is not None:
        delay = clock.until(cursor, run_at)
    values = parameters(run, failure, delay) | {"run_at": run_at, "meta": meta, "first": EARLIEST, "last": LATEST}
    _record(cursor, values)
    changed = ""
    if new is not None:
        names = ("args", "kwargs", "options", "queue", "priority", "timeout")
        changed = "".join(f" {name} = %({name})s," for name in names)
        values |= {name: getattr(new, name) for name in names}
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'pending', last_error = %(last_error)s, worker = NULL, deadline_at = NULL, progress = NULL,
                   result_meta = %(meta)s, {changed}
                   run_at = least(greatest(coalesce(%(run_at)s, clock_timestamp() + make_interval(secs => %(delay)s)), %(first)s), %(last)s)
             WHERE {FENCE}""",
        values,
    )
    return bool(cursor.rowcount)


def replace(cursor: Any, run: Run, send: Callable[[Any], object] = lambda cursor: None) -> bool:
    """running -> pending, held until another message with the same task_id takes the row over; `send` sends what leads to it.

    Asked to stop, it is cancelled instead, and nothing is sent.
    """
    if _is_asked_to_stop(cursor, run):
        return _cancel_asked(cursor, run, STOPPED)
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'pending', attempts = 0, worker = NULL, deadline_at = NULL, progress = NULL,
                   run_at = %(held)s WHERE {FENCE}""",
        {**run.fence, "held": HELD},
    )
    won = bool(cursor.rowcount)
    if won:
        send(cursor)
    return won


def release(cursor: Any, run: Run, *, delay: float = 0.0, failure: Failure | None = None) -> bool:
    """running -> pending without spending the attempt; due in `delay` seconds. Asked to stop, it is cancelled instead."""
    if _is_asked_to_stop(cursor, run):
        return _cancel_asked(cursor, run, failure or STOPPED)
    if failure is not None:
        _record(cursor, parameters(run, failure, delay))
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'pending', attempts = attempts - 1, worker = NULL, deadline_at = NULL,
                   run_at = clock_timestamp() + make_interval(secs => %(delay)s) WHERE {FENCE}""",
        {**run.fence, "delay": delay},
    )
    return bool(cursor.rowcount)


def bury(
    cursor: Any, run: Run, failure: Failure, *, task: str, meta: str | None = None, told: bool = False, errbacks: bool = False
) -> bool:
    """running -> failed, with the entry in the dead letter queue.

    `told`: its chain and its chord know of it already; `errbacks`: those are called once this is committed.
    """
    values = parameters(run, failure)
    if not _record(cursor, values):
        return False
    cursor.execute(
        ended(
            f"""UPDATE jobs_job SET status = 'failed', finished_at = clock_timestamp(), last_error = %(last_error)s,
                       result_meta = %(meta)s, {_COUNTED} WHERE {FENCE}"""
        ),
        values | {"meta": meta},
    )
    won = bool(cursor.rowcount)
    if won and (errbacks or not told):
        leave_aftermath(cursor, [run.id], only_errbacks=told)
    return won and enter(cursor, values, task)


def leave_aftermath(cursor: Any, ids: Sequence[int], *, only_errbacks: bool = False, always: bool = False) -> None:
    """Jobs with links, a chain or a chord: a worker tells those of the end (`jobs.celery_app.aftermath`). `always`: others too, for the
    signal of a revocation."""
    cursor.execute(
        f"""INSERT INTO jobs_aftermath (job_id, only_errbacks) SELECT id, %s FROM jobs_job
            WHERE id = ANY(%s) AND (%s OR {LINKED})
           ON CONFLICT (job_id) DO UPDATE SET only_errbacks = excluded.only_errbacks""",
        [only_errbacks, list(ids), always],
    )


def enter(cursor: Any, values: dict[str, Any], task: str) -> bool:
    cursor.execute(
        """INSERT INTO jobs_deadletterqueue (job_id, error_class, message, traceback, fingerprint, attempts)
           SELECT id, %(error_class)s, %(message)s, %(traceback)s, %(fingerprint)s, attempts FROM jobs_job WHERE id = %(id)s""",
        values | {"fingerprint": fingerprint(task, values["error_class"], values["message"])},
    )
    return bool(cursor.rowcount)


def lose(cursor: Any, run: Run, failure: Failure) -> bool:
    """running -> pending after the worker died, for a failure whose outcome is LOST. Asked to stop, it is cancelled instead."""
    if _is_asked_to_stop(cursor, run):
        return _cancel_asked(cursor, run, failure)
    values = parameters(run, failure, 0.0)
    _record(cursor, values)
    cursor.execute(
        f"""UPDATE jobs_job SET status = 'pending', worker = NULL, deadline_at = NULL, last_error = %(last_error)s,
                   run_at = clock_timestamp(), {_COUNTED} WHERE {FENCE}""",
        values,
    )
    return bool(cursor.rowcount)


def cancel_running(cursor: Any, run: Run, failure: Failure, *, meta: str | None = None) -> bool:
    """running -> cancelled, once the run was stopped."""
    values = parameters(run, failure) | {"meta": meta}
    _record(cursor, values)
    cursor.execute(
        ended(
            f"""UPDATE jobs_job SET status = 'cancelled', finished_at = clock_timestamp(), last_error = %(last_error)s,
                       result_meta = %(meta)s, {_COUNTED} WHERE {FENCE}"""
        ),
        values,
    )
    won = bool(cursor.rowcount)
    if won:
        leave_aftermath(cursor, [run.id])
    return won


def _cancel_asked(cursor: Any, run: Run, failure: Failure, meta: str | None = None) -> bool:
    """The same in place of another run. Of what was revoked it is told, as of what was revoked while it waited."""
    won = cancel_running(cursor, run, failure, meta=meta)
    if won:
        cursor.execute(f"UPDATE jobs_job SET last_error = %s WHERE id = %s AND {REVOKED}", [own_failures.REVOKED, run.id])
        if cursor.rowcount:
            leave_aftermath(cursor, [run.id], always=True)
    return won


def report_progress(cursor: Any, run: Run, progress: str) -> bool:
    """Note how far the run is; False when it is no longer the job's run."""
    cursor.execute(
        ended(f"UPDATE jobs_job SET progress = %(progress)s::json WHERE {FENCE}"),
        {**run.fence, "progress": progress},
    )
    return bool(cursor.rowcount)
