"""A finished Celery message becomes a row: `.delay()`, `apply_async`, `send_task` and canvas all end here."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import celery.app.amqp
from celery import signals
from django.db import connections
from kombu.utils.json import dumps
from kombu.utils.uuid import uuid

from jobs.celery_app import transport
from jobs.conf import configuration
from jobs.domain import priority as priorities
from jobs.store.insert import NewJob, insert_fresh, insert_sent

# What the leader fills in itself, or what belongs to the way a message takes and not to the job.
_DERIVED = ("lang", "task", "id", "retries", "eta", "argsrepr", "kwargsrepr")


def _options(headers: dict[str, Any], reply_to: str, embed: dict[str, Any]) -> str | None:
    kept = {key: value for key, value in headers.items() if value is not None and key not in _DERIVED}
    if kept.get("root_id") == headers["id"]:
        del kept["root_id"]
    options: dict[str, Any] = {"headers": kept}
    if reply_to:
        options["properties"] = {"reply_to": reply_to}
    if any(embed.values()):
        options["embed"] = embed
    return str(dumps(options))


class AMQP(celery.app.amqp.AMQP):
    """Celery's message factory, whose sender inserts a row."""

    Connection = transport.Connection

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
            reply_to = properties.get("reply_to", "")
            new = NewJob(
                task=name, task_id=head["id"], args=dumps(list(args or ())), kwargs=dumps(dict(kwargs or {})), queue=queue,
                priority=priorities.DEFAULT if priority is None else min(max(int(priority), priorities.LOWEST), priorities.HIGHEST),
                run_at=head.get("eta"), max_retries=getattr(task, "max_retries", None), autoretry=configuration().autoretry,
                timeout=getattr(task, "timeout", None),
                options=_options(head, "" if reply_to == self.app.thread_oid else reply_to, embed or {}),
            )  # fmt: skip
            self._accept(new)
            self._here.new = new
            signals.after_task_publish.send(sender=name, body=body, headers=head, exchange="", routing_key=routing_key)

        return send_task_message

    @cached_property
    def _here(self) -> threading.local:
        return threading.local()

    def accepted_here(self) -> NewJob | None:
        """The row that this thread's last call has made, None when it has made none."""
        return getattr(self._here, "new", None)

    def accept_alike(self, new: NewJob, args: Any, kwargs: Any) -> str:
        """Insert a copy of a row with other arguments and an id of its own, which is returned. Not inside a task."""
        if not isinstance(args, list | tuple | None):
            raise TypeError("task args must be a list or tuple")
        if not isinstance(kwargs, Mapping | None):
            raise TypeError("task keyword arguments must be a mapping")
        task_id = str(uuid())
        texts = {"args": dumps(list(args or ())), "kwargs": dumps(dict(kwargs or {}))}
        with connections[configuration().database].cursor() as cursor:
            insert_fresh(cursor, replace(new, task_id=task_id, **texts))
        return task_id

    def _accept(self, new: NewJob) -> None:
        """Insert now, or keep for the transaction in which the running task's outcome is written."""
        task = self.app.current_worker_task
        outcome = getattr(task.request, "outcome", None) if task else None
        if outcome is not None and outcome.closing:
            outcome.sends.append(new)
            return
        with connections[configuration().database].cursor() as cursor:
            insert_sent(cursor, new)
