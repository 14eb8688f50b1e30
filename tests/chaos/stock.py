"""Stock Celery with the same bodies and the same ledger, to compare: an app, its task, and its door."""

import os
from typing import Any

from celery import Celery
from celery.exceptions import OperationalError
from kombu.exceptions import OperationalError as KombuError
from redis.exceptions import RedisError

from tests.chaos import bodies
from tests.chaos.plan import Planned

LATE = os.environ.get("CHAOS_STOCK") == "late"
VISIBILITY_S = 60

app = Celery("stock", broker=os.environ["CHAOS_BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"priority_steps": list(range(10)), "queue_order_strategy": "priority"}
    | ({"visibility_timeout": VISIBILITY_S} if LATE else {}),
    task_acks_late=LATE,
    task_reject_on_worker_lost=LATE,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)


@app.task(name="chaos.body", bind=True)
def body(self: Any, k: int, kind: str, spec: dict[str, Any], limit: int) -> dict[str, int]:
    """The same job; its own limit of retries travels with it."""
    retries = self.request.retries
    try:
        return bodies.run(k, kind, spec, run=retries + 1, retries=retries)
    except bodies.ChaosError as error:
        raise self.retry(exc=error, countdown=min(2**retries, 3), max_retries=limit) from error


class Door:
    """See `producer.Door`."""

    away = (OperationalError, KombuError, RedisError, OSError)

    def many(self, jobs: list[Planned]) -> None:
        for job in jobs:
            self.one(job)

    def one(self, job: Planned) -> Any:
        if job.way == "rollback":  # nothing of the kind exists
            return None
        message = {"k": job.k, "kind": job.kind, "spec": job.spec, "limit": job.retries}
        limit = job.limit if job.kind == "hang" else None
        result = body.apply_async(kwargs=message, priority=9 - job.priority, countdown=job.delay or None, time_limit=limit, retry=False)
        return result.id

    def cancel(self, handle: Any) -> bool:
        app.control.revoke(handle, terminate=True)
        return True

    def heal(self) -> list[int]:
        return []

    def reset(self) -> None:
        pass
