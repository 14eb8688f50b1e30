"""A run whose end cannot be written, not even its failure alone: a foreign trigger, say, breaks a constraint of its own."""

import logging
from collections.abc import Callable
from typing import Any

from jobs.celery_app import process_engine
from jobs.domain.complaint import Complaint, first_line
from jobs.store import unwritable
from jobs.store.engine import unless_refused
from jobs.store.transitions import Failure

logger = logging.getLogger("jobs.worker")
_complaint = Complaint(logger, "the end of a run that ended outside its body is refused; the run is given back", logging.ERROR)


def or_left(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same change, for a worker's loop, which may not wait. Refused, the run is given back: by the leader where its process is gone,
    else by the watch.
    """
    return unless_refused(change, _complaint.say)


def give_up(outcome: Any, error: Exception) -> None:
    """Leave the run to the watch, which takes it away as one that is lost (`jobs.store.unwritable`)."""
    run = outcome.run
    logger.error("job %s: no end of run %s can be written: %s", run.id, run.runs, first_line(error))
    _leave(outcome, unwritable.REFUSED)


def leave(outcome: Any) -> None:
    """The same for one that is over, and whatever was to write its end has raised."""
    logger.error("job %s: run %s has ended without an end", outcome.run.id, outcome.run.runs)
    _leave(outcome, unwritable.WITHOUT)


def _leave(outcome: Any, failure: Failure) -> None:
    engine = process_engine.current()
    outcome.settled = True
    engine.unwritten[outcome.run] = failure
    engine.held.pop(outcome.run.id, None)
