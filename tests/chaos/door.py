"""This engine's door: jobs come in by enqueue(), enqueue_many() and .delay(), and are cancelled and reprocessed by the verbs."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
django.setup()

from django.db import Error, connection, transaction  # noqa: E402
from redis.exceptions import RedisError  # noqa: E402

from jobs import control, dead_letters, enqueue, enqueue_many  # noqa: E402
from jobs.domain.priority import DEFAULT  # noqa: E402
from jobs.models import DeadLetterQueue  # noqa: E402
from tests.chaos.plan import Planned  # noqa: E402
from tests.chaos.tasks import body, sent  # noqa: E402


class _RollBack(Exception):
    """Ends a transaction that shall leave nothing behind."""


class Door:
    """See `producer.Door`."""

    away = (Error, RedisError, OSError)

    def many(self, jobs: list[Planned]) -> None:
        calls = [((), {"k": job.k, "kind": job.kind, "spec": job.spec}) for job in jobs]
        enqueue_many(body, calls, priorities=[job.priority for job in jobs])

    def one(self, job: Planned) -> Any:
        kwargs = {"k": job.k, "kind": job.kind, "spec": job.spec}
        match job.way:
            case "delay" if job.priority == DEFAULT and not job.delay:
                sent.delay(**kwargs)
            case "delay":
                sent.apply_async(kwargs=kwargs, priority=job.priority, countdown=job.delay or None)
            case "rollback":
                try:
                    with transaction.atomic():
                        enqueue(body, kwargs=kwargs, priority=job.priority)
                        raise _RollBack
                except _RollBack:
                    pass
            case _:
                return enqueue(
                    body, kwargs=kwargs, name=job.kind, priority=job.priority, max_retries=job.retries, timeout=job.limit,
                    delay=job.delay or None,
                ).id  # fmt: skip
        return None

    def cancel(self, handle: Any) -> bool:
        return bool(control.cancel([handle], by="chaos").done)

    def heal(self) -> list[int]:
        entries = DeadLetterQueue.objects.filter(resolution="open", job__name="heal", error_class="ChaosError").select_related("job")[:50]
        numbers = {entry.id: entry.job.kwargs["k"] for entry in entries}
        return [numbers[id] for id in dead_letters.reprocess(list(numbers), by="chaos").done]

    def reset(self) -> None:
        connection.close()
