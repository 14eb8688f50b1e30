"""What is told of an end after it is committed, or when the task did not run at its end (cancelled, expired, lost, past its deadline).

The row of jobs_aftermath is struck off in the transaction that tells, so an errback that is a task is sent once, and one that
is called in the worker is called at least once, also when the worker dies in between.
"""

import logging
from collections.abc import Callable
from typing import Any

import psycopg2
from celery import signals, states
from celery.exceptions import TaskRevokedError
from django.db import close_old_connections
from kombu.utils.json import loads

from jobs.celery_app import messages, meta, sending, unsent
from jobs.celery_app.encoding import text
from jobs.store import canvas, results
from jobs.store.engine import Engine, unless_locked
from jobs.store.transitions import Run

logger = logging.getLogger("jobs.worker")


def run(app: Any, engine: Engine, job: int | None = None, eventer: Callable[[], Any] = lambda: None) -> int:
    """Tell of this job, or of up to a few that nobody has told of; how many there were. `eventer`: the worker's sender of events."""
    revoked: list[results.Found] = []

    def body(cursor: Any) -> int:
        ended = canvas.take_aftermath(cursor, job)
        revoked[:] = [found for found, _ in ended if found.revoked]
        with sending.writing(cursor):
            for found, only_errbacks in ended:
                try:
                    _tell(app, found, only_errbacks)
                except psycopg2.Error:
                    raise
                except Exception:  # anyone may have written the row; the others are to be told all the same
                    logger.exception("the links of job %s cannot be told of its end", found.task_id)
        return len(ended)

    told = int(engine.write(unless_locked(body)))  # the watch, which asks again, has more to look at
    for found in revoked:
        try:
            _announce(app, found, eventer())
        except Exception:  # as above; or Redis is away, and only an event is lost
            logger.exception("the revocation of job %s cannot be told", found.task_id)
    if revoked:
        close_old_connections()  # receivers may have asked the database here, where no task ends
    return told


def keep_errbacks(cursor: Any, run: Run, errbacks: Any) -> None:
    """Where a task has set its request's errbacks, the row says them too: whoever tells of the end reads them there."""
    given, said = loads(canvas.options(cursor, run) or "{}"), loads(text(errbacks))
    if (given.get("embed") or {}).get("errbacks") != said:
        nothing = {"callbacks": None, "chain": None, "chord": None}
        canvas.set_options(cursor, run, text(given | {"embed": nothing | (given.get("embed") or {}) | {"errbacks": said}}))


def _announce(app: Any, found: results.Found, eventer: Any) -> None:
    """What Celery's worker tells when it meets the message of a revoked task; here there is none any more."""
    task = app.tasks.get(found.task)
    logger.info("discarding revoked task: %s[%s]", found.task, found.task_id)
    how = {"terminated": False, "signum": None, "expired": False}
    signals.task_revoked.send(sender=task, request=_request(found), **how)
    if eventer is not None and eventer.enabled and getattr(task, "send_events", True):
        eventer.send("task-revoked", uuid=found.task_id, **how)


def _request(found: results.Found) -> Any:
    """Celery's, of the last run."""
    attempts = max(found.attempts - 1, 0)
    row = messages.Row(
        id=0, task_id=found.task_id, task=found.task, args=found.args, kwargs=found.kwargs, runs=attempts, attempts=attempts,
        max_retries=0, timeout=None, autoretry=False, options=found.options, priority=0,
    )  # fmt: skip
    return sending.context_of(row, found.queue, found.worker)


def _tell(app: Any, found: results.Found, only_errbacks: bool) -> None:
    backend, request = app.backend, _request(found)
    if found.status == "cancelled":
        revoked = TaskRevokedError(meta.reason_of(found.last_error))
        if request.chord:
            backend.on_chord_part_return(request, states.REVOKED, revoked)
        unsent.cancel(backend, sending.cursor_here(), request.chain, revoked, found.last_error)
        return
    kept = meta.of(found.task_id, found, extended=False)
    error = backend.exception_to_python(kept["result"])
    if not only_errbacks:
        if request.chord:
            backend.on_chord_part_return(request, states.FAILURE, error)
        unsent.fail(backend, request.chain, error)
    if request.errbacks:
        backend._call_task_errbacks(request, error, kept["traceback"])
