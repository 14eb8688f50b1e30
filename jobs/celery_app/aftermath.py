"""What is told of an end after it is committed, or when the task did not run at its end (cancelled, expired, lost, past its deadline).

The row of jobs_aftermath is struck off in the transaction that tells, so an errback that is a task is sent once, and one that
is called in the worker is called at least once, also when the worker dies in between. What PostgreSQL refuses for its values will
never be told; what it refuses otherwise is told later, and holds up no other meanwhile.
"""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from celery import signals, states
from celery.exceptions import TaskRevokedError
from django.db import close_old_connections
from kombu.utils.json import loads
from psycopg2.extensions import TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_INTRANS

from jobs.celery_app import failures, messages, meta, sending, unsent
from jobs.celery_app.encoding import text
from jobs.domain.complaint import Complaint
from jobs.store import aftermath as untold
from jobs.store import results
from jobs.store.engine import PASSING, Engine, is_lost, is_transient, unless_locked
from jobs.store.transitions import Run

logger = logging.getLogger("jobs.worker")
LATER_S: Final = 60.0  # before something is tried again that PostgreSQL has refused to write
LONG_S = 1.0  # before what is written is committed, and the locks it takes are free
_UNTOLD: Final = "the links of job %s cannot be told of its end"
_later: dict[int, float] = {}  # job: time.monotonic() of its next try here
_refused = Complaint(logger, "the links of a job cannot be told of its end yet", logging.ERROR)


def run(app: Any, engine: Engine, job: int | None = None, eventer: Callable[[], Any] = lambda: None) -> int:
    """Tell of this job, or of up to a few that nobody has told of; how many there were. `eventer`: the worker's sender of events."""
    revoked: list[results.Found] = []

    def body(cursor: Any) -> int:
        told: list[results.Found] = []
        end = time.monotonic() + LONG_S
        for id, found, only_errbacks in untold.take(cursor, job, but=_put_off()):
            if told and time.monotonic() > end:
                untold.keep(cursor, id, only_errbacks)
                continue
            with sending.writing(cursor):
                is_told = _tell(app, cursor, found, only_errbacks)
            if is_told:
                told.append(found)
            else:
                untold.keep(cursor, id, only_errbacks)
                _later[id] = time.monotonic() + LATER_S
        revoked[:] = [found for found in told if found.revoked]
        return len(told)

    told = int(engine.write(unless_locked(body)))  # the watch, which asks again, has more to look at
    for found in revoked:
        try:
            _announce(app, found, eventer())
        except Exception:  # as above; or Redis is away, and only an event is lost
            logger.exception("the revocation of job %s cannot be told", found.task_id)
    if revoked:
        close_old_connections()  # receivers may have asked the database here, where no task ends
    return told


def _put_off() -> list[int]:
    """Jobs that are not to be tried yet."""
    now = time.monotonic()
    for id in [id for id, at in list(_later.items()) if at <= now]:
        _later.pop(id, None)
    return list(_later)


def keep_errbacks(cursor: Any, run: Run, errbacks: Any) -> None:
    """Where a task has set its request's errbacks, the row says them too: whoever tells of the end reads them there."""
    given, said = loads(untold.options(cursor, run) or "{}"), loads(text(errbacks))
    if (given.get("embed") or {}).get("errbacks") != said:
        nothing = {"callbacks": None, "chain": None, "chord": None}
        untold.set_options(cursor, run, text(given | {"embed": nothing | (given.get("embed") or {}) | {"errbacks": said}}))


def _announce(app: Any, found: results.Found, eventer: Any) -> None:
    """What Celery's worker tells when it meets the message of a revoked task; here there is none any more."""
    task = app.tasks.get(found.task)
    logger.info("discarding revoked task: %s[%s]", found.task, found.task_id)
    announce(task, _request(found), found.task_id, eventer, {"terminated": False, "signum": None, "expired": False})


def announce(task: Any, request: Any, task_id: str, eventer: Any, how: dict[str, Any]) -> None:
    """Celery's signal and event of a revocation."""
    signals.task_revoked.send(sender=task, request=request, **how)
    if eventer is not None and eventer.enabled and getattr(task, "send_events", True):
        eventer.send("task-revoked", uuid=task_id, **how)


def _request(found: results.Found) -> Any:
    """Celery's, of the last run."""
    attempts = max(found.attempts - 1, 0)
    row = messages.Row(
        id=0, task_id=found.task_id, task=found.task, args=found.args, kwargs=found.kwargs, runs=attempts, attempts=attempts,
        max_retries=0, timeout=None, autoretry=False, options=found.options, priority=0,
    )  # fmt: skip
    return sending.context_of(row, found.queue, found.worker)


def _tell(app: Any, cursor: Any, found: results.Found, only_errbacks: bool) -> bool:
    """False: it is to be tried again, all of it that can be told twice. The errbacks, which cannot, come last."""
    try:
        steps = list(_steps(app, cursor, found, only_errbacks))
    except Exception:  # anyone may have written the row; the others are to be told all the same
        logger.exception(_UNTOLD, found.task_id)
        return True
    return all(_apart(cursor, found, step) for step in steps)


def _apart(cursor: Any, found: results.Found, step: Callable[[], Any]) -> bool:
    """Tell one thing, or, where PostgreSQL refuses a part of it, nothing of it. False: it may be told later."""
    info, is_later = cursor.connection.info, False
    cursor.execute("SAVEPOINT told")
    try:
        step()
    except Exception as error:  # of a trigger or of somebody's errback, which may ask other servers as well
        is_ours = info.transaction_status != TRANSACTION_STATUS_INTRANS
        if is_ours and (is_lost(error) or isinstance(error, PASSING)):
            raise
        is_later = is_ours and is_transient(error)
        if is_later:
            _refused.say(error)
        else:
            logger.exception(_UNTOLD, found.task_id)
    if info.transaction_status == TRANSACTION_STATUS_INERROR:  # without an exception too: Celery logs what an errback raises
        cursor.execute("ROLLBACK TO SAVEPOINT told")
    return not is_later


def _steps(app: Any, cursor: Any, found: results.Found, only_errbacks: bool) -> Iterator[Callable[[], Any]]:
    backend, request = app.backend, _request(found)
    if found.status == "cancelled":
        revoked = TaskRevokedError(meta.reason_of(found.last_error))
        if request.chord:
            yield partial(backend.on_chord_part_return, request, states.REVOKED, revoked)
        yield partial(unsent.cancel, backend, cursor, request.chain, revoked, found.last_error)
        return
    kept = meta.of(found.task_id, found, extended=False)
    error = failures.readable(backend.exception_to_python(kept["result"]))
    if not only_errbacks:
        if request.chord:
            yield partial(backend.on_chord_part_return, request, states.FAILURE, error)
        yield partial(unsent.fail, backend, request.chain, error)
    if request.errbacks:
        yield partial(backend._call_task_errbacks, request, error, kept["traceback"])
