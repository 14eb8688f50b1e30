"""The one CRITICAL record of a job that failed for good."""

import logging
import sys

from jobs import masking
from jobs.store.transitions import Failure, Run

logger = logging.getLogger("jobs.worker")
# Of what a task raised: sentry-sdk has the exception as an event of its own, and none of an error that the task expects (`throws`).
raised = logging.getLogger("jobs.worker.burial")
masking.in_logs(raised.name)


def log(run: Run, task: str, failure: Failure, *, by_task: bool = False) -> None:
    """Write it. `by_task`: the task raised the error, and whoever looks at tasks has seen that."""
    if by_task and (sentry := sys.modules.get("sentry_sdk.integrations.logging")):
        sentry.ignore_logger(raised.name)
    text = "job %s (%s) failed for good and is in the Dead Letter Queue: %s: %s"
    (raised if by_task else logger).critical(text, run.id, task, failure.error_class, masking.start(failure.message, 500))
