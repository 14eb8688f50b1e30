"""A job is claimed when its message has been read, while Celery still takes the message in: PostgreSQL works meanwhile."""

from collections.abc import Iterable
from typing import Any

import celery
from celery.worker import state

from jobs.celery_app import signing
from jobs.store.transitions import Run


class EarlyClaims:
    """Of the messages that one fetch loop reads."""

    def __init__(self, consumer: Any, engine: Any) -> None:
        self.consumer, self.engine, self.tasks = consumer, engine, consumer.app.tasks
        self.verified: dict[int, dict[str, Any]] = {}  # headers by their identity: what was verified here, and not yet taken in

    def ask(self, messages: Iterable[dict[str, Any]]) -> None:
        """Claim their jobs, but for what Celery or this worker may yet refuse or put off, and what is none of ours."""
        self.verified.clear()
        for message in messages:
            self._ask(message)

    def _ask(self, message: dict[str, Any]) -> None:
        headers = message["headers"]
        if message["properties"].get("body_encoding") or not signing.verify(headers, message["body"]):
            return
        self.verified[id(headers)] = headers
        consumer, task = self.consumer, headers["task"]
        if task not in consumer.strategies or self.tasks[task].Strategy != celery.Task.Strategy:
            return
        if consumer.task_buckets.get(task) is not None or headers.get("expires") or headers["alone"]:
            return
        if headers["id"] in state.revoked or (state.revoked_stamps and headers.get("stamped_headers")):
            return
        run = Run(id=headers["job_id"], runs=headers["runs"], worker=self.engine.worker_id)
        self.engine.ask(run, headers["id"], headers["job_queue"], headers["job_priority"])

    def is_verified(self, headers: Any) -> bool:
        """Whether these very headers, with their body, were verified here; asked once."""
        return self.verified.pop(id(headers), None) is headers
