"""Celery's heartbeat, sent once: Celery sends one again until Redis answers, and all that the worker would do waits for it."""

from typing import Any

from celery.worker import heartbeat
from celery.worker.consumer import heart


class Beats(heartbeat.Heart):
    """Tells who listens to events that this worker lives."""

    def _send(self, event: str, retry: bool = False) -> Any:
        """A beat that Redis does not take is dropped, the next one comes. Events of tasks that it did not take go behind one it took."""
        sent = super()._send(event, retry=False)
        with self.eventer.mutex:  # tasks' threads put theirs there as well
            kept = self.eventer._outbound_buffer
            missed = [unsent for unsent in kept if unsent[1].startswith("worker.")]
            for unsent in missed:
                kept.remove(unsent)
        if kept and not missed:
            self.eventer.flush(groups=False)
        return sent


class Heart(heart.Heart):
    """In place of Celery's step."""

    name = "Heart"

    def start(self, c: Any) -> None:
        """Begin to beat."""
        c.heart = Beats(c.timer, c.event_dispatcher, self.heartbeat_interval)
        c.heart.start()
