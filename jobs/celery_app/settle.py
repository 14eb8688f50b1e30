"""The end of a run, written once: everything that follows from it is in the same transaction."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg2
from celery import signals
from kombu.exceptions import EncodeError

from jobs import masking
from jobs.celery_app import aftermath, burial, chords, encoding, failures, meta, process_engine, sending, unwritten
from jobs.celery_app.body import is_kill
from jobs.domain import own_failures
from jobs.domain.outcomes import Outcome as Ending
from jobs.store import interventions, late, transitions
from jobs.store.engine import unless_locked
from jobs.store.insert import NewJob
from jobs.store.ownership import if_own
from jobs.store.transitions import Failure, Run

logger = logging.getLogger("jobs.worker")
masking.in_logs("celery.app.trace", "celery.worker.request", "celery.backends.base", "celery.utils.dispatch.signal", logger.name)
INTERRUPTED = Failure(error_class="Interrupted", message=own_failures.WORKER_STOPPED, outcome=Ending.INTERRUPTED)
LONGEST = 100_000_000  # characters of a result: PostgreSQL cuts a connection that sends a statement of a gigabyte
REQUEUE_S = 0.1  # seconds before a rejected job is due again


def claim(task: Any, request: Any, make: Any) -> Any:
    """The outcome to fill in when the run is ours, else None: a duplicate or stale message."""
    run = Run(id=request.job_id, runs=request.runs, worker=process_engine.current().worker_id)
    if not process_engine.current().claim(run, request.id, request.job_queue, request.job_priority):
        return None
    outcome = make(run=run, task=task)
    if process_engine.is_green():
        import gevent

        outcome.body.greenlet = gevent.getcurrent()
    process_engine.current().held[run.id] = outcome
    return outcome


def _body(outcome: Any, change: Any) -> Callable[[Any], bool]:
    """The end and all that follows from it, for one transaction. It answers False when the run is no longer the job's."""
    app = outcome.task.app

    def body(cursor: Any) -> bool:
        if not change(cursor):
            return False
        sending.apply(cursor, outcome.changes)
        if outcome.parts:
            with sending.writing(cursor):
                chords.count(app.backend, cursor, outcome.parts)
        return True

    return body


def _write(outcome: Any, change: Any, failure: Failure | None = None) -> bool:
    won = bool(process_engine.current().write(_body(outcome, change), written=was_written(outcome.run, failure), job=outcome.run.id))
    _done(outcome, won)
    return won


def _write_failure(outcome: Any, failure: Failure, change: Callable[[Any, Failure], bool]) -> bool:
    try:
        return _write(outcome, lambda cursor: change(cursor, failure), failure)
    except psycopg2.errors.UntranslatableCharacter:  # the database's encoding has no such letters (jobs.E009); the error is kept escaped
        escaped = failures.in_ascii(failure)
        return _write(outcome, lambda cursor: change(cursor, escaped), escaped)


def was_written(run: Run, failure: Failure | None = None) -> Callable[[Any], bool]:
    """Whether the end was committed at an earlier try whose answer was lost with the connection."""

    def asked(cursor: Any) -> bool:
        found = late.was_written(cursor, run, failure)
        if found:
            logger.info("job %s: PostgreSQL had the outcome of run %s before the connection was lost", run.id, run.runs)
        return found

    return asked


def _done(outcome: Any, won: bool) -> None:
    outcome.settled = True
    outcome.changes, outcome.parts = [], []
    process_engine.current().held.pop(outcome.run.id, None)
    if not won:
        logger.warning("job %s: the outcome of run %s came late and was refused", outcome.run.id, outcome.run.runs)
        process_engine.current().write(lambda cursor: late.note(cursor, outcome.run))


def encode(result: Any) -> str:
    """The result as JSON text. Raises EncodeError, which Celery turns into a failure of the task."""
    try:
        written = encoding.text(result)
    except EncodeError as error:
        raise EncodeError(own_failures.NO_JSON % {"error": error}) from error
    if len(written) > LONGEST:
        raise EncodeError(own_failures.LONG_RESULT % {"length": f"{len(written):,}", "most": f"{LONGEST:,}"})
    return written


def complete(outcome: Any, result: Any, children: Any = None, store: bool = True) -> None:
    """running -> completed. `children`: what the run has sent; not `store`: nobody asked for the result."""
    text = encode(result) if store else None
    more = meta.children(children)
    if not (outcome.changes or outcome.parts or more is not None):
        _done(outcome, process_engine.current().complete(outcome.run, text))
        return

    def change(cursor: Any) -> bool:
        return transitions.complete(cursor, outcome.run, result=text, meta=more)

    if _complete_linked(outcome, text, more):
        return
    part = None if outcome.changes or more is not None else chords.part_of(outcome.task.app.backend, *outcome.parts[0])
    if part is None:
        _write(outcome, change)
    else:
        _done(outcome, process_engine.current().complete_counted(outcome.run, text, part, _body(outcome, change)))


def _complete_linked(outcome: Any, text: str | None, more: str | None) -> bool:
    """A link of a chain: its end and the next link are one statement, and one way to PostgreSQL and back instead of five.

    False: this run is to be written as all others are, for it has more to send, or was refused.
    """
    if len(outcome.changes) != 1 or not isinstance(outcome.changes[0], NewJob) or outcome.parts:
        return False
    new = outcome.changes[0]
    try:
        won = process_engine.current().complete_linked(outcome.run, result=text, meta=more, new=new, written=was_written(outcome.run))
    except psycopg2.IntegrityError:  # somebody sends the same task_id at this moment
        return False
    if won:
        _done(outcome, True)
    return won


def retry(task: Any, outcome: Any) -> None:
    """running -> pending, after the body has unwound."""
    if outcome.settled or outcome.retry is None:
        return
    plan = dict(outcome.retry)
    given = plan.pop("error")
    failure = failures.of(RuntimeError(own_failures.ASKED_FOR_ANOTHER_RUN) if given is None else given, plan.pop("traceback"))
    plan["meta"] = failures.kept(outcome, given, failure, failures.retry_traceback(failure))
    outcome.changes = []
    if _write_failure(outcome, failure, lambda cursor, failure: transitions.retry(cursor, outcome.run, failure, **plan)):
        again = f"in {plan['delay']:.1f} s" if plan.get("run_at") is None else f"at {plan['run_at']}"
        logger.warning("job %s: attempt failed (%s), again %s", outcome.run.id, failure.error_class, again)


def replace(outcome: Any) -> None:
    """running -> pending as another task; or held until the last link, or the body, that it was replaced by is sent."""
    send, outcome.changes = partial(sending.apply, changes=outcome.changes), []  # nothing where it is cancelled instead
    _write(outcome, lambda cursor: transitions.replace(cursor, outcome.run, send))


def reject(task: Any, outcome: Any, rejected: Any) -> None:
    """Reject: with requeue the job waits again, without it is a failure."""
    if rejected.requeue:
        _write(outcome, lambda cursor: transitions.release(cursor, outcome.run, delay=REQUEUE_S))
    else:
        outcome.closing = True
        reason = rejected.reason if issubclass(type(rejected.reason), BaseException) else rejected
        bury(task.name, outcome, failures.of(reason), reason, told=_tell(task, reason))  # Celery's tracer tells nobody


def ignored(outcome: Any) -> None:
    """running -> cancelled, by the task itself: the state that it has set by hand stays, as Celery has it."""
    cancelled(outcome, "Ignore", own_failures.ENDED_ITSELF, meta.report(*outcome.reported) if outcome.reported else None)


def cancelled(outcome: Any, error_class: str, message: str, more: str | None = None) -> bool:
    """running -> cancelled. Whether it was by this call."""
    failure = Failure(error_class=error_class, message=message, outcome=Ending.CANCELLED)
    return _write(outcome, lambda cursor: transitions.cancel_running(cursor, outcome.run, failure, meta=more), failure)


def release(outcome: Any) -> None:
    """running -> pending at shutdown; the attempt is not spent.

    Refused, the end is being written elsewhere in this process, with all that follows from it: it is left to that.
    """
    run = outcome.run
    if not outcome.settled and process_engine.current().write(
        lambda cursor: transitions.release(cursor, run, failure=INTERRUPTED), written=was_written(run, INTERRUPTED), job=run.id
    ):
        _done(outcome, True)


def bury(
    task: str, outcome: Any, failure: Failure, error: BaseException | None = None, *, told: bool = True, by_task: bool = False
) -> None:
    """running -> failed, with its dead letter and one CRITICAL record in the worker's log (`by_task`: see there). `told`: its chain and
    chord know of it.
    """
    if outcome.settled:
        return
    errbacks = bool(outcome.errbacks)

    def end(more: str | None, told: bool) -> bool:
        def change(cursor: Any, failure: Failure) -> bool:
            if outcome.errbacks:
                aftermath.keep_errbacks(cursor, outcome.run, outcome.errbacks)
            return transitions.bury(cursor, outcome.run, failure, task=task, meta=more, told=told, errbacks=errbacks)

        return _write_failure(outcome, failure, change)

    try:
        won = end(failures.kept(outcome, error, failure, failure.traceback), told and error is not None)
    except Exception:  # something that goes with it cannot be written; without its end the job would run again and again
        if outcome.settled:
            raise
        logger.exception("job %s: its failure is written alone, what follows from it is told afterwards", outcome.run.id)
        outcome.changes, outcome.parts, outcome.errbacks = [], [], None
        try:
            won = end(None, False)
        except Exception as refused:  # not even that: the watch takes the run away
            unwritten.give_up(outcome, refused)
            return
    if won:
        burial.log(outcome.run, outcome.task.request.shadow or task, failure, by_task=by_task)
        if errbacks:
            aftermath.run(outcome.task.app, process_engine.current(), outcome.run.id)


def revoked(run: Run, reason: str) -> bool:
    """A message that expired or was revoked ends its job as cancelled; one that ran was stopped by Celery. Whether it was by this call."""
    outcome = process_engine.current().held.get(run.id)
    if reason == "terminated":
        if outcome is not None:
            cancelled(outcome, "Revoked", reason)
        elif not process_engine.is_green():
            _cancel_elsewhere(run, reason)
        return True
    won = _revoke(run, reason)
    if won:
        logger.warning("job %s was cancelled: %s", run.id, reason)
    return won


def _cancel_elsewhere(run: Run, reason: str) -> None:
    """running -> cancelled, by the parent of a process that was just told to end. Where the row is locked, that process writes an end."""
    failure = Failure(error_class="Revoked", message=reason, outcome=Ending.CANCELLED)
    engine = process_engine.current()
    change = if_own(lambda cursor: transitions.cancel_running(cursor, run, failure), run, engine.worker_id)
    engine.write(unwritten.or_left(unless_locked(change)))


def _revoke(run: Run, reason: str) -> bool:
    """A job that waits, or one that is this worker's and has not begun."""
    engine = process_engine.current()
    if not engine.take_back(run):  # where the row is locked the message is dropped: the leader sends another, nobody waits here
        change = partial(interventions.cancel_pending, ids=[run.id], reason=f"Revoked: {reason}", runs=run.runs - 1)
        return bool(engine.write(unwritten.or_left(unless_locked(change))))
    failure = Failure(error_class="Revoked", message=reason, outcome=Ending.CANCELLED)
    try:
        own = Run(id=run.id, runs=run.runs, worker=engine.worker_id)
        return bool(engine.write(unwritten.or_left(lambda cursor: transitions.cancel_running(cursor, own, failure))))
    finally:
        engine.held.pop(run.id, None)


@signals.task_failure.connect(weak=False)
def _on_failure(sender: Any = None, exception: Any = None, einfo: Any = None, **_: Any) -> None:
    """Where a failure settles. Exceptions in receivers are swallowed by Celery, so `process_engine.current().write` keeps trying."""
    outcome = getattr(getattr(sender, "request", None), "outcome", None)
    if outcome is not None:
        bury(sender.name, outcome, failures.of(exception, str(getattr(einfo, "traceback", "")) or None), exception, by_task=True)


@signals.task_postrun.connect(weak=False)
def _on_postrun(task: Any = None, state: Any = None, **_: Any) -> None:
    """A run that reaches its end without an outcome is buried: a hook of the task raised, or the next link cannot be sent. One that was
    killed while its end was being written is left to that, and to the watch.
    """
    request, error = getattr(task, "request", None), sys.exception()
    outcome = getattr(request, "outcome", None)
    if outcome is not None and not outcome.settled and outcome.closing and not is_kill(error):
        without = Failure(error_class="HookError", message=own_failures.NO_OUTCOME % {"state": state})
        error = None if error is None else failures.readable(error)
        bury(task.name, outcome, failures.of(error) if error else without, error, told=error is not None and _tell(task, error))


def _tell(task: Any, error: BaseException) -> bool:
    """With the end that is about to be written. False: what follows cannot be told so, and is told afterwards."""
    try:
        task.backend.mark_as_failure(task.request.id, error, request=task.request)
    except Exception:  # a chain may be anything, and the run must reach its end
        logger.exception("what follows %s[%s] cannot be told of its failure", task.name, task.request.id)
        return False
    return True
