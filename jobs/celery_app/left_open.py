"""A transaction that a task's body has begun by hand and left open: what it has locked, its own job even, stays locked."""

import logging
from contextlib import suppress
from typing import Any

from django.db import Error, connections

logger = logging.getLogger("jobs.worker")


def roll_back(outcome: Any) -> None:
    """End it as Celery does, which closes the connection, but before the end of the run is written. Of `atomic` nothing is left open.

    Where `AUTOCOMMIT` is off in DATABASES a project has its own way to end transactions.
    """
    greenlet = outcome.body.greenlet
    if greenlet is not None and not getattr(greenlet, "has_connections", False):  # as jobs.worker.task_connections marks it
        return
    for made in connections.all(initialized_only=True):
        if made.connection is None or made.autocommit or made.in_atomic_block or not made.settings_dict["AUTOCOMMIT"]:
            continue
        logger.warning("job %s: its body has left a transaction open on %r; it is rolled back", outcome.run.id, made.alias)
        with suppress(Error):  # it is gone
            made.rollback()
