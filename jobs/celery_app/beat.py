"""What beat sends waits for PostgreSQL: beat counts an entry as run before it sends it, and would send it only at its next time."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from celery import signals
from django.db import Error, InterfaceError, OperationalError

from jobs.store.collisions import code_of

T = TypeVar("T")
PAUSE_S = 1.0  # between two tries
SAID_EACH_S = 60.0
_READ_ONLY: Final = "25006"  # a former primary, say
_LIMITS: Final = "54"  # a value that is too long for an index

logger = logging.getLogger(__name__)


@signals.beat_init.connect(weak=False)
def without_redis(sender: Any, **_: Any) -> None:
    """Beat would connect to Redis before it sends, and wait for it; a row needs no producer."""
    from jobs.celery_app.amqp import AMQP

    if isinstance(sender.app.amqp, AMQP):
        sender.scheduler.producer = None


def sends(options: Mapping[str, Any]) -> bool:
    """Whether a call with these options is one of beat's, which marks its own."""
    return bool((options.get("headers") or {}).get("celery_beat_task"))


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
