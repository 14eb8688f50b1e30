"""A run whose end cannot be written, not even its failure alone: a foreign trigger, say, breaks a constraint of its own."""

import logging
from typing import Any

from jobs.celery_app import process_engine

logger = logging.getLogger("jobs.worker")


def give_up(outcome: Any, error: Exception) -> None:
    """Leave the run to the watch, which takes it away as one that is lost (`jobs.store.unwritable`)."""
    run, engine = outcome.run, process_engine.current()
    logger.error("job %s: no end of run %s can be written: %s", run.id, run.runs, str(error).strip().partition("\n")[0])
    outcome.settled = True
    engine.unwritten.add(run)
    engine.held.pop(run.id, None)
