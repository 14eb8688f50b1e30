"""What is told of an end after it is committed, or when the task did not run at its end (cancelled, expired, lost, past its deadline).

The row of jobs_aftermath is struck off in the transaction that tells, so an errback that is a task is sent once, and one that
is called in the worker is called at least once, also when the worker dies in between.
"""

import logging
from typing import Any

import psycopg2
from celery import states
from celery.exceptions import TaskRevokedError
from kombu.utils.json import loads

from jobs.celery_app import meta, sending
from jobs.store import canvas, results
from jobs.store.engine import Engine, unless_locked

logger = logging.getLogger("jobs.worker")


def run(app: Any, engine: Engine, job: int | None = None) -> int:
    """Tell of this job, or of up to a few that nobody has told of; how many there were."""

    def body(cursor: Any) -> int:
        ended = canvas.take_aftermath(cursor, job)
        with sending.writing(cursor):
            for found, only_errbacks in ended:
                try:
                    _tell(app, found, only_errbacks)
                except psycopg2.Error:
                    raise
                except Exception:  # anyone may have written the row; the others are to be told all the same
                    logger.exception("the links of job %s cannot be told of its end", found.task_id)
        return len(ended)

    return int(engine.write(unless_locked(body)))  # the watch, which asks again, has more to look at


def _tell(app: Any, found: results.Found, only_errbacks: bool) -> None:
    backend = app.backend
    request = sending.context_of(found.task_id, found.task, found.options)
    request.update(args=loads(found.args), kwargs=loads(found.kwargs))
    if found.status == "cancelled":
        if request.chord:
            backend.on_chord_part_return(request, states.REVOKED, TaskRevokedError(found.last_error or "revoked"))
        return
    kept = meta.of(found.task_id, found, extended=False)
    error = backend.exception_to_python(kept["result"])
    if not only_errbacks:
        if request.chord:
            backend.on_chord_part_return(request, states.FAILURE, error)
        backend._fail_chain(request.chain, error, None)
    if request.errbacks:
        backend._call_task_errbacks(request, error, kept["traceback"])
