"""The end of a run, written once: everything that follows from it is in the same transaction."""

import json
import logging
import os
import traceback as tracebacks
from collections.abc import Callable
from typing import Any

from celery import signals
from kombu.exceptions import EncodeError
from kombu.utils.json import dumps

from jobs.domain.errors import JobTimeout
from jobs.models.attempt import Outcome as Ending
from jobs.store import transitions
from jobs.store.engine import Engine
from jobs.store.insert import insert_sent
from jobs.store.transitions import Failure, Run

logger = logging.getLogger("jobs.worker")
INTERRUPTED = Failure(error_class="Interrupted", message="the worker was stopped", outcome=Ending.INTERRUPTED)
_engine: list[Engine] = []
_make: list[Callable[[], Engine]] = []


def attach(make: Callable[[], Engine]) -> None:
    """How a forked child of this worker makes an engine of its own."""
    _make[:] = [make]


def use(engine: Engine | None) -> None:
    """Set the engine of this process; a worker does so when it starts."""
    _engine[:] = [] if engine is None else [engine]


def engine() -> Engine:
    """The engine of this process; under prefork each child makes its own at its first job."""
    if not _engine or _engine[0].pid != os.getpid():  # inherited by a fork
        use(_make[0]())
    return _engine[0]


def is_green() -> bool:
    """Whether tasks of this process run in greenlets."""
    return bool(_engine) and getattr(_engine[0], "green", False)


def claim(request: Any, make: Any) -> Any:
    """The outcome to fill in when the run is ours, else None: a duplicate or stale message."""
    run = Run(id=request.job_id, runs=request.runs)
    if not engine().claim(run, request.job_queue, request.job_priority):
        return None
    outcome = make(run=run)
    if is_green():
        import gevent

        outcome.body.greenlet = gevent.getcurrent()
    engine().held[run.id] = outcome
    return outcome


def _write(outcome: Any, change: Any) -> bool:
    """One transaction for the end and all it sends. False: the run is no longer the job's."""

    def body(cursor: Any) -> bool:
        if not change(cursor):
            return False
        for new in outcome.sends:
            insert_sent(cursor, new)
        return True

    won = bool(engine().write(body))
    _done(outcome, won)
    return won


def _done(outcome: Any, won: bool) -> None:
    outcome.settled = True
    outcome.sends = []
    engine().held.pop(outcome.run.id, None)
    if not won:
        logger.warning("job %s: the outcome of run %s came late and was refused", outcome.run.id, outcome.run.runs)
        engine().write(lambda cursor: transitions.note_late(cursor, outcome.run))


def encode(result: Any) -> str:
    """The result as JSON text. Raises EncodeError, which Celery turns into a failure of the task."""
    try:
        text = str(dumps(result))
        json.loads(text, parse_constant=_refuse)
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(f"The task returned a value that is not JSON: {error}") from error
    return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def complete(outcome: Any, result: Any) -> None:
    """running -> completed."""
    text = encode(result)
    if outcome.sends:
        _write(outcome, lambda cursor: transitions.complete(cursor, outcome.run, result=text))
    else:
        _done(outcome, engine().complete(outcome.run, text))


def failure_of(error: BaseException, trace: Any = None) -> Failure:
    """What is kept of an exception."""
    text = trace if isinstance(trace, str) else "".join(tracebacks.format_exception(type(error), error, trace or error.__traceback__))
    ending = Ending.TIMED_OUT if isinstance(error, JobTimeout) else Ending.FAILED
    try:
        message = str(error)
    except Exception:  # a __str__ of the task's own may raise; the job still needs its message
        message = object.__repr__(error)
    return Failure(error_class=type(error).__name__, message=message, traceback=text, outcome=ending)


def retry(task: Any, outcome: Any) -> None:
    """running -> pending, after the body has unwound."""
    if outcome.settled or outcome.retry is None:
        return
    plan = dict(outcome.retry)
    error = plan.pop("error") or RuntimeError("the task asked to be run again")
    failure = failure_of(error, plan.pop("traceback"))
    outcome.sends = []
    if _write(outcome, lambda cursor: transitions.retry(cursor, outcome.run, failure, **plan)):
        logger.warning("job %s: attempt failed (%s), again in %.1f s", outcome.run.id, failure.error_class, plan["delay"])


def reject(task: Any, outcome: Any, rejected: Any) -> None:
    """Reject: with requeue the job waits again, without it is a failure."""
    if rejected.requeue:
        _write(outcome, lambda cursor: transitions.release(cursor, outcome.run, delay=1.0))
    else:
        bury(task.name, outcome, failure_of(rejected))


def cancelled(outcome: Any, error_class: str, message: str) -> None:
    """running -> cancelled."""
    failure = Failure(error_class=error_class, message=message, outcome=Ending.CANCELLED)
    _write(outcome, lambda cursor: transitions.cancel_running(cursor, outcome.run, failure))


def release(outcome: Any) -> None:
    """running -> pending at shutdown; the attempt is not spent."""
    if not outcome.settled:
        _write(outcome, lambda cursor: transitions.release(cursor, outcome.run, failure=INTERRUPTED))


def bury(task: str, outcome: Any, failure: Failure) -> None:
    """running -> failed, with its dead letter and one CRITICAL record in the worker's log."""
    if outcome.settled:
        return
    if _write(outcome, lambda cursor: transitions.bury(cursor, outcome.run, failure, task=task)):
        logger.critical(
            "job %s (%s) failed for good and is in the Dead Letter Queue: %s: %s",
            outcome.run.id,
            task,
            failure.error_class,
            failure.message[:500],
        )


def progress(outcome: Any, fraction: float, message: str) -> bool:
    """Note how far the run is, over the engine's connection, so that a transaction of the task does not hold the row."""
    text = json.dumps({"fraction": fraction, "message": transitions.clean(message, 500)})
    return bool(engine().write(lambda cursor: transitions.report_progress(cursor, outcome.run, text)))


@signals.task_failure.connect(weak=False)
def _on_failure(sender: Any = None, exception: Any = None, einfo: Any = None, **_: Any) -> None:
    """Where a failure settles. Exceptions in receivers are swallowed by Celery, so `engine().write` keeps trying."""
    outcome = getattr(getattr(sender, "request", None), "outcome", None)
    if outcome is not None:
        bury(sender.name, outcome, failure_of(exception, str(getattr(einfo, "traceback", "")) or None))


@signals.task_postrun.connect(weak=False)
def _on_postrun(task: Any = None, state: Any = None, **_: Any) -> None:
    """A run that reaches its end without an outcome is buried: a hook of the task raised."""
    request = getattr(task, "request", None)
    outcome = getattr(request, "outcome", None)
    if outcome is not None and not outcome.settled and outcome.closing:
        bury(task.name, outcome, Failure(error_class="HookError", message=f"the task ended in state {state} without an outcome"))


@signals.task_revoked.connect(weak=False)
def _on_revoked(request: Any = None, terminated: bool = False, expired: bool = False, **_: Any) -> None:
    """A message that expired or was revoked ends its job as cancelled; one that ran was stopped by Celery."""
    job = getattr(request, "job_id", None)
    if job is None:
        return
    outcome = engine().held.get(job)
    if terminated and outcome is not None:
        cancelled(outcome, "Revoked", "the task was revoked while it ran")
    elif not terminated:
        reason = "expired" if expired else "revoked"
        engine().write(lambda cursor: transitions.cancel_pending(cursor, [job]))
        logger.warning("job %s was cancelled: %s", job, reason)
