"""A task in a worker: claim, run, hand the outcome on."""

import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from celery import signals
from celery.exceptions import Ignore
from django.conf import settings
from django.db import reset_queries

from jobs.celery_app import left_open, limits, process_engine, progress, settle, unwritten
from jobs.celery_app.body import Body, is_from_outside
from jobs.celery_app.ends import settled
from jobs.domain.errors import JobInterrupted, JobTimeout
from jobs.store.insert import NewJob
from jobs.store.transitions import Run

logger = logging.getLogger("jobs.worker")
LEAST_S: Final = 1.5  # for a hook when the run's time is over: the leader takes the run away half a second later


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a claimed run will write, once, at its end."""

    run: Run
    task: Any
    started: bool = False
    closing: bool = False  # from the end of the body on, what is sent belongs to the outcome
    settled: bool = False
    retrying: bool = False  # within self.retry(): what is sent under the run's own task_id is the next attempt
    replaced: bool = False
    errbacks: Any = None  # to be called once the failure is committed
    next: NewJob | None = None
    retry: dict[str, Any] | None = None
    limit: int | None = None  # max_retries that the task has asked for in this run
    reported: tuple[str, Any] | None = None  # the last state that the task has set by hand
    ended_by: type[Exception] | None = None  # set by whoever kills the greenlet, before it does
    changes: list[NewJob | Callable[[Any], Any]] = field(default_factory=list)
    parts: list[tuple[Any, str, Any]] = field(default_factory=list)  # of chords: request, state, result
    body: Body = field(default_factory=Body)

    def report(self, fraction: float, message: str) -> bool:
        """Note how far the run is (0 to 1). False when it is no longer the job's."""
        return progress.report(self, fraction, message)

    def cancel(self, error: type[Exception]) -> None:
        """Interrupt the body; it ends as that error says."""
        self.ended_by = error
        self.body.throw(error)


def claimed(task: Any, request: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What the call returns, once the run is this worker's. The first of the calls of one run writes how it ended."""
    outcome = getattr(request, "outcome", None) or claim(task)
    if outcome.started:
        return call(*args, **kwargs)
    outcome.started = True
    body = outcome.body
    seconds = request.job_timeout if body.greenlet is not None else limits.own(task, request)  # asked without a call under gevent

    def run() -> Any:
        try:
            with body.running(seconds), limits.applied(task, request, body.spent):
                return call(*args, **kwargs)
        finally:
            left_open.roll_back(outcome)

    result = settled(task, outcome, run)
    outcome.closing = True
    if outcome.retry is not None:  # self.retry(throw=False)
        settle.retry(task, outcome)
        raise Ignore
    return result


def begun(task: Any, before_start: Callable[[], Any]) -> None:
    """The run is claimed, and its `before_start` is the first stretch of it. Raises what the task's own end would."""
    outcome, request = claim(task), task.request

    def run() -> None:
        with outcome.body.running(limits.own(task, request)), limits.applied(task, request):
            before_start()

    settled(task, outcome, run)


def hook(task: Any, outcome: Outcome, name: str, call: Callable[[], Any]) -> None:
    """A hook after the body. One that takes longer than the job may is interrupted, and the end that is told stays as it is.

    Before the end is written it has what is left of the run's time: the leader takes the run away when that is over.
    """
    request, ending = task.request, process_engine.current().ending
    seconds = limits.own(task, request) or limits.hard(task, request)
    least = (seconds or 0.0) if outcome.settled else LEAST_S
    ending[outcome.run] = outcome
    try:
        with outcome.body.running(seconds, least=least), limits.left(seconds - outcome.body.spent) if seconds else nullcontext():
            call()
    except JobTimeout:
        logger.error("job %s: its %s took longer than the job's time limit, and was interrupted", outcome.run.id, name)
    except JobInterrupted:  # given back already
        pass
    finally:
        ending.pop(outcome.run, None)


def claim(task: Any) -> Outcome:
    """The outcome that the run will write. Raises Ignore when the job is not this run's."""
    if settings.DEBUG:
        reset_queries()  # with it Django keeps 9,000 statements of each thread, until a request comes: here none does
    request = task.request
    request.outcome = outcome = settle.claim(task, request, Outcome)
    if outcome is None:
        raise Ignore
    request.eta = getattr(request, "job_eta", None)
    _ = request.children  # made now, so that Celery's copy of the request shares the list
    return outcome


@signals.task_postrun.connect(weak=False)
def _on_postrun(task: Any = None, **_: Any) -> None:
    """The net below all ends, after that of `settle`: a run that is over without one, whatever raised on the way, is counted as lost."""
    outcome = getattr(getattr(task, "request", None), "outcome", None)
    if outcome is None or outcome.settled or outcome.body.error is JobInterrupted:  # that one is given back by whoever stops it
        return
    error = sys.exception()
    if error is None or not is_from_outside(error):
        unwritten.leave(outcome)
