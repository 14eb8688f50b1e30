"""Celery's request for a message; where tasks run in this process, with the arguments that were read when the message came."""

from datetime import UTC, datetime, timedelta
from typing import Any

import celery.worker.request
from celery.worker.state import revoked

from jobs.celery_app import process_engine


class Request(celery.worker.request.Request):
    """Celery hands the text of the message to its pool, which may be another process, and reads it there again."""

    def __init__(self, message: Any, *args: Any, decoded: bool = False, **options: Any) -> None:
        if process_engine.is_green() and not decoded:
            options["body"], decoded = message.payload, True
        super().__init__(message, *args, decoded=decoded, **options)

    def acknowledge(self) -> None:
        """A message that a green worker has popped is gone from Redis; elsewhere Celery's way leads to the same."""
        if process_engine.is_green():
            self.acknowledged = True
        else:
            super().acknowledge()

    def send_event(self, type: str, **fields: Any) -> None:
        """Nothing while the events of tasks are off; Celery asks after it has put the event together."""
        groups = getattr(self._eventer, "groups", None)
        if not groups or "task" in groups:
            super().send_event(type, **fields)

    def maybe_expire(self) -> bool:
        """By the clock of the database, whatever this host's says."""
        if not self.expires:
            return False
        ahead = timedelta(seconds=process_engine.current().registration.skew)  # type: ignore[attr-defined]
        if datetime.now(self.expires.tzinfo and UTC) - ahead <= self.expires:
            return False
        revoked.add(self.id)
        return True
