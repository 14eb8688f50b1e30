"""Celery's events, of which not all are kept that Redis does not take."""

from collections import deque
from typing import Any, Final

from celery.app import events
from celery.events.dispatcher import EventDispatcher

KEPT: Final = 1000  # events, the last ones


class Dispatcher(EventDispatcher):
    """Celery's keeps whatever could not be sent until something can be: for ever where its user of Redis may not publish."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbound_buffer: deque[Any] = deque(maxlen=KEPT)


class Events(events.Events):
    """Celery's, with that dispatcher."""

    dispatcher_cls = "jobs.celery_app.events:Dispatcher"
