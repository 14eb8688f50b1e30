"""The end of a body that was interrupted because somebody has asked for it: on the pages, or by `revoke(terminate=True)`."""

import logging
import signal
from typing import Any, Final

from jobs.celery_app import aftermath, process_engine, settle
from jobs.domain.errors import JobCancelled
from jobs.store import interventions

logger = logging.getLogger("jobs.worker")
HOW: Final = {"terminated": True, "signum": int(signal.SIGTERM), "expired": False}  # the row does not keep which signal was named


def end(task: Any, outcome: Any) -> None:
    """running -> cancelled. In threads nobody else tells of what was revoked: there Celery cannot end a body, and says nothing."""
    engine = process_engine.current()
    if not engine.write(lambda cursor: interventions.is_terminated(cursor, outcome.run), single=True):
        settle.cancelled(outcome, "JobCancelled", str(JobCancelled()))
    elif settle.cancelled(outcome, "Revoked", "terminated") and process_engine.is_alone():
        try:
            aftermath.announce(task, task.request, task.request.id, engine.eventer(), HOW)  # type: ignore[attr-defined]
        except Exception:  # Redis is away, and only an event is lost; the end is written
            logger.exception("the revocation of job %s cannot be told", task.request.id)
