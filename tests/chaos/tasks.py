"""The run's tasks on this engine."""

from typing import Any

from celery import shared_task

from jobs import PermanentError
from tests.chaos import bodies


@shared_task(name="chaos.body", bind=True)
def body(self: Any, k: int, kind: str, spec: dict[str, Any]) -> dict[str, int]:
    """A job made by enqueue(): the engine's own policy of retries."""
    return bodies.run(k, kind, spec, run=self.request.runs, retries=self.request.retries, final=PermanentError)


@shared_task(name="chaos.sent", bind=True, autoretry_for=(bodies.ChaosError,), retry_backoff=1, retry_backoff_max=3, max_retries=3)
def sent(self: Any, k: int, kind: str, spec: dict[str, Any]) -> dict[str, int]:
    """A job made by .delay(): the task's own policy."""
    return bodies.run(k, kind, spec, run=self.request.runs, retries=self.request.retries, final=PermanentError)
