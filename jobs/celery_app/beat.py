"""What beat sends waits for PostgreSQL: beat counts an entry as run before it sends it, and would send it only at its next time."""

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from celery import signals
from django.db import Error, InterfaceError, OperationalError
from kombu.utils.uuid import uuid

from jobs.store.collisions import code_of

T = TypeVar("T")
PAUSE_S = 1.0  # between two tries
SAID_EACH_S = 60.0
_READ_ONLY: Final = "25006"  # a former primary, say
_LIMITS: Final = "54"  # a value that is too long for an index

logger = logging.getLogger(__name__)


@signals.beat_init.connect(weak=False)
def prepare(sender: Any, **_: Any) -> None:
    """Let this beat wait for PostgreSQL and not for Redis: it would connect to that before it sends, though a row needs no producer.

    Only the app of a program that is a beat is changed: all others send as directly as they do.
    """
    from jobs.celery_app.amqp import AMQP

    app = sender.app
    if isinstance(app.amqp, AMQP):
        sender.scheduler.producer = None
        app.send_task = partial(_send, app, app.send_task)


def _send(app: Any, send: Callable[..., T], name: str, *args: Any, **options: Any) -> T:
    """As Celery does; what beat sends, which is marked, waits for PostgreSQL. Calls of a task's body do not, under `worker -B`."""
    if app.current_worker_task or not (options.get("headers") or {}).get("celery_beat_task"):
        return send(name, *args, **options)
    options["task_id"] = options.get("task_id") or uuid()
    return patiently(name, lambda: send(name, *args, **options))


def patiently(name: str, send: Callable[[], T]) -> T:
    """What `send` returns once PostgreSQL takes it. It may be called again, so it sends with one task_id."""
    said_at = -math.inf
    while True:
        try:
            return send()
        except Error as error:
            if not _may_pass(error):
                raise
            if time.monotonic() - said_at >= SAID_EACH_S:
                logger.warning("beat: PostgreSQL does not take %s, trying until it does: %s", name, error)
                said_at = time.monotonic()
        time.sleep(PAUSE_S)


def _may_pass(error: Error) -> bool:
    """Whether PostgreSQL is away, full, or read-only for now; not what it refuses because of this entry's own values."""
    code = code_of(error)
    return code == _READ_ONLY or (isinstance(error, OperationalError | InterfaceError) and not code.startswith(_LIMITS))
