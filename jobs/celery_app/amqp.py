"""A finished Celery message becomes a row: `.delay()`, `apply_async`, `send_task` and canvas all end here."""

from collections.abc import Callable
from typing import Any

import celery.app.amqp
from celery import signals
from django.db import connections
from kombu.utils.json import dumps

from jobs.conf import configuration
from jobs.domain import priority as priorities
from jobs.store.insert import NewJob, insert_sent

# What the leader fills in itself, or what belongs to the way a message takes and not to the job.
_DERIVED = ("lang", "task", "id", "retries", "eta", "argsrepr", "kwargsrepr")


def _options(headers: dict[str, Any], properties: dict[str, Any], embed: dict[str, Any]) -> str | None:
    kept = {key: value for key, value in headers.items() if value is not None and key not in _DERIVED}
    if kept.get("root_id") == headers["id"]:
        del kept["root_id"]
    options: dict[str, Any] = {"headers": kept, "properties": {"reply_to": properties.get("reply_to", "")}}
    if any(embed.values()):
        options["embed"] = embed
    return str(dumps(options))


class AMQP(celery.app.amqp.AMQP):
    """Celery's message factory, whose sender inserts a row."""

    def _create_task_sender(self) -> Callable[..., None]:
        def send_task_message(
            producer: Any,
            name: str,
            message: Any,
            queue: Any = None,
            routing_key: Any = None,
            priority: Any = None,
            headers: Any = None,
            **_: Any,
        ) -> None:
            head, properties, body, _event = message
            head.update(headers or {})
            signals.before_task_publish.send(
                sender=name,
                body=body,
                headers=head,
                properties=properties,
                exchange="",
                routing_key=routing_key,
                declare=[],
                retry_policy={},
            )
            args, kwargs, embed = body
            queue = getattr(queue, "name", queue) or routing_key or self.app.conf.task_default_queue
            task = self.app.tasks.get(name)
            made_autoretry = configuration().autoretry
            self._accept(
                NewJob(
                    task=name, task_id=head["id"], args=dumps(list(args or ())), kwargs=dumps(dict(kwargs or {})), queue=queue,
                    priority=priorities.DEFAULT if priority is None else min(max(int(priority), priorities.LOWEST), priorities.HIGHEST),
                    run_at=head.get("eta"), max_retries=getattr(task, "max_retries", None), autoretry=made_autoretry,
                    timeout=getattr(task, "timeout", None), options=_options(head, properties, embed or {}),
                )
            )  # fmt: skip
            signals.after_task_publish.send(sender=name, body=body, headers=head, exchange="", routing_key=routing_key)

        return send_task_message

    def _accept(self, new: NewJob) -> None:
        """Insert now, or keep for the transaction in which the running task's outcome is written."""
        task = self.app.current_worker_task
        outcome = getattr(task.request, "outcome", None) if task else None
        if outcome is not None and outcome.closing:
            outcome.sends.append(new)
            return
        with connections[configuration().database].cursor() as cursor:
            insert_sent(cursor, new)
