"""What beat sends waits for PostgreSQL: beat counts an entry as run before it sends it, and would send it only at its next time."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from celery import signals
from django.db import InterfaceError, OperationalError

T = TypeVar("T")
PAUSE_S = 1.0  # between two tries

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
    told = False
    while True:
        try:
            return send()
        except (OperationalError, InterfaceError) as error:
            if not told:
                logger.warning("beat: PostgreSQL does not take %s, trying until it does: %s", name, error)
            told = True
        time.sleep(PAUSE_S)
