"""The end of a run whose process was killed, written by the parent of that."""

from collections.abc import Callable
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import states

from jobs.celery_app import aftermath, burial, failures, meta, process_engine, retries, sending, settle, unwritten
from jobs.store import transitions
from jobs.store.ownership import if_own
from jobs.store.transitions import Run


def bury(app: Any, request: Any, run: Run, error: BaseException, trace: Any, tell: Callable[[], None]) -> None:
    """running -> pending or failed, by the parent of a process that was killed at its hard time limit. A child that died is a
    lost run instead; one that had not claimed its job changes nothing, for another worker may run it.
    """
    if isinstance(error, WorkerLostError):
        return
    failure = failures.of(error, str(trace) if trace else None)
    engine, pause = process_engine.current(), retries.pause(request)
    if pause is not None:
        again = if_own(lambda cursor: transitions.retry(cursor, run, failure, delay=pause), run, engine.worker_id)
        engine.write(unwritten.or_left(again))
        return
    more = meta.failure(app.backend.encode_result(error, states.FAILURE), failure.traceback, None)

    def body(cursor: Any) -> bool:
        if not transitions.bury(cursor, run, failure, task=request.task, meta=more, told=True, errbacks=bool(request.errbacks)):
            return False
        with sending.writing(cursor):
            tell()
        return True

    if engine.write(unwritten.or_left(if_own(body, run, engine.worker_id)), written=settle.was_written(run, failure)):
        burial.log(run, request.task, failure)
        if request.errbacks:
            aftermath.run(app, engine, run.id)
