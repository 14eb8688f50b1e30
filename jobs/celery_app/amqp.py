"""A finished Celery message becomes a row: `.delay()`, `apply_async`, `send_task` and canvas all end here."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import celery.app.amqp
from celery import signals
from celery.app.task import Context
from django.db import transaction
from kombu.exceptions import SerializerNotInstalled
from kombu.serialization import registry

from jobs import destinations, given
from jobs.celery_app import sending, transport
from jobs.celery_app.encoding import text
from jobs.celery_app.messages import SAID_ANYWAY
from jobs.conf import configuration
from jobs.domain import priority as priorities
from jobs.domain import task_ids
from jobs.domain.retry import SPENT
from jobs.store import caller, clock
from jobs.store.insert import Copies, NewJob

logger = logging.getLogger(__name__)
# What the leader fills in itself, or what belongs to the way a message takes and not to the job.
_DERIVED = ("lang", "task", "id", "retries", "eta")
_REPRS = ("argsrepr", "kwargsrepr")
# How a message would have been published; everything else that a caller passes is a property of it.
_PUBLISHING = frozenset(("exchange_type", "retry", "retry_policy", "compression", "declare", "delivery_mode", "event_dispatcher")) | {
    "timeout",
    "confirm_timeout",
    "expiration",
    "mandatory",
    "immediate",
    "content_type",
    "content_encoding",
}


class _Given(str):
    """A repr of the arguments that the caller has written, mostly to hide something; all others are made from the row."""


def _options(headers: dict[str, Any], properties: dict[str, Any], embed: dict[str, Any]) -> str | None:
    kept = {
        key: value for key, value in headers.items()
        if value is not None and key not in _DERIVED and (key not in _REPRS or isinstance(value, _Given))
        and (key not in SAID_ANYWAY or value != SAID_ANYWAY[key])
    }  # fmt: skip
    if kept.get("root_id") == headers["id"]:
        del kept["root_id"]
    options: dict[str, Any] = {"headers": kept}
    if properties:
        options["properties"] = properties
    if any(embed.values()):
        options["embed"] = embed
    return text(options)


class AMQP(celery.app.amqp.AMQP):
    """Celery's message factory, whose sender inserts a row."""

    Connection = transport.Connection

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.task_protocols = {1: self.as_task_v2, 2: self.as_task_v2}  # a row has one shape

    def as_task_v2(
        self, task_id: Any, name: Any, args: Any = None, kwargs: Any = None, countdown: Any = None, eta: Any = None, group_id: Any = None,
        group_index: Any = None, expires: Any = None, *rest: Any, **options: Any,
    ) -> Any:  # fmt: skip
        """Celery's message; what it reckons from now on (`countdown`, `expires` in seconds) by the clock of the database."""
        if not isinstance(name, str):
            raise TypeError(f"task {name!r:.100} is no name of a task")
        if (countdown or isinstance(expires, int | float)) and not self._is_retry():
            options.setdefault("now", clock.now(sending.cursor_here()))
        options.update((name, _Given(options[name])) for name in _REPRS if options.get(name) is not None)
        options.update((name, str(options[name])) for name in ("root_id", "parent_id") if options.get(name) is not None)  # UUIDs, perhaps
        return super().as_task_v2(str(task_id), name, args, kwargs, countdown, eta, group_id, group_index, expires, *rest, **options)

    def _is_retry(self) -> bool:
        """Then the row's delay counts, and the task's transaction may be broken."""
        task = self.app.current_worker_task
        return bool(getattr(getattr(task and task.request, "outcome", None), "retrying", False))

    def _create_task_sender(self) -> Callable[..., None]:
        def send_task_message(
            producer: Any,
            name: str,
            message: Any,
            queue: Any = None,
            routing_key: Any = None,
            priority: Any = None,
            headers: Any = None,
            exchange: Any = None,
            serializer: Any = None,
            **more: Any,
        ) -> None:
            if serializer and serializer not in registry.name_to_type:
                raise SerializerNotInstalled(f"No encoder installed for {serializer}")
            head, properties, body, event = message
            if headers:
                head.update(headers)
            properties.update((key, value) for key, value in more.items() if key not in _PUBLISHING)
            if priority is not None:
                properties["priority"] = priority
            queue = destinations.queue_of(self.app, queue, exchange, routing_key)
            reprs = [head.get(name) for name in _REPRS]
            signals.before_task_publish.send(
                sender=name,
                body=body,
                headers=head,
                properties=properties,
                exchange="",
                routing_key=queue,
                declare=[],
                retry_policy={},
            )
            head.update((name, _Given(head[name])) for name, made in zip(_REPRS, reprs, strict=True) if head.get(name) not in (None, made))
            own: dict[str, Any] = {}  # of the row's message, not of the one that receivers are shown
            if headers:
                own["headers"] = {key: value for key, value in headers.items() if key not in vars(Context)}
            if head.get("eta"):
                own["job_eta"] = head["eta"]  # a message that says "eta" would wait in the worker's memory
            if head.get("retries"):
                own[SPENT] = self._spent(head["retries"])
            args, kwargs, embed = body
            task = self.app.tasks.get(head["task"])  # a receiver may have named another
            limits = given.limits(head.get("timelimit"))
            if head.get("timelimit"):
                head["timelimit"] = list(limits)
            limit = limits[0] or getattr(task, "time_limit", None)
            if properties.get("correlation_id") == head["id"]:
                del properties["correlation_id"]
            if properties.get("reply_to") in ("", self.app.thread_oid):
                del properties["reply_to"]
            new = NewJob(
                task=head["task"], task_id=given.short("task_id", head["id"]), args=text(list(args or ())), kwargs=text(dict(kwargs or {})),
                queue=given.short("queue", queue),
                priority=self._priority(properties.get("priority")), run_at=given.moment(head.get("eta")),
                max_retries=given.max_retries(getattr(task, "max_retries", 3)), autoretry=configuration().autoretry,
                timeout=given.seconds(limit) or given.seconds(getattr(task, "timeout", None)),
                options=_options(head | own, properties, embed or {}),
            )  # fmt: skip
            sending.send(self.app, producer, new, head.get("group"), fresh=self._is_fresh(new.task_id))
            self._here.new = new
            signals.after_task_publish.send(sender=name, body=body, headers=head, exchange="", routing_key=queue)
            if event:
                self._tell_sent(event, queue)

        return send_task_message

    def _tell_sent(self, event: dict[str, Any], queue: str) -> None:
        """`task_send_sent_event`: after the commit of the caller. Nobody waits for a Redis that is away, the job is accepted."""

        def publish() -> None:
            try:
                with self.producer_pool.acquire(block=True) as producer:
                    self._event_dispatcher.publish(
                        "task-sent", event | {"queue": queue, "exchange": "", "routing_key": queue}, producer, retry=False
                    )
            except Exception as error:  # whatever a Redis that is away makes of it: only an event is lost
                logger.warning("the event task-sent of %s could not be sent: %s", event["uuid"], error)

        if sending.cursor_here() is None and sending.outcome_of(self.app) is None and not caller.is_in_a_coroutine():
            transaction.on_commit(publish, using=configuration().database)
        else:
            publish()

    @cached_property
    def _here(self) -> threading.local:
        return threading.local()

    def fresh_id(self) -> str:
        """An id for this thread's next call, which nobody can have used or revoked."""
        made = self._here.fresh = task_ids.make()
        return made

    def _is_fresh(self, task_id: str | None) -> bool:
        """Once, for the call that it was made for: after that, also one that is rolled back, its caller knows the id and may revoke it."""
        if task_id != getattr(self._here, "fresh", None):
            return False
        self._here.fresh = None
        return True

    def accepted_here(self) -> NewJob | None:
        """The row that this thread's last call has made, None when it has made none."""
        return getattr(self._here, "new", None)

    def accept_alike(self, copies: Copies, args: Any, kwargs: Any) -> str:
        """Insert a copy of a row with other arguments and an id of its own, which is returned. Not inside a task."""
        if args is not None and not isinstance(args, list | tuple):
            raise TypeError("task args must be a list or tuple")
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise TypeError("task keyword arguments must be a mapping")
        task_id = task_ids.make()
        texts = text(list(args or ())), text(dict(kwargs)) if kwargs else "{}"
        copies.insert(task_id, *texts)
        return task_id

    def _spent(self, said: Any) -> int | None:
        """The retries that were spent before the row was made, as its caller or a receiver says; the row counts its own."""
        return getattr(self.app.current_worker_task.request, SPENT, None) if self._is_retry() else given.retries(said)

    def _priority(self, asked: Any) -> int:
        """The priority of the row. What a task passes on of its own (a retry, `task_inherit_parent_priority`) is its row's."""
        if asked is None:
            return priorities.DEFAULT
        task = self.app.current_worker_task
        request = task.request if task else None
        passed_on = request is not None and asked == (request.delivery_info or {}).get("priority")
        own = getattr(request, "job_priority", None) if passed_on else None
        if own is not None and (self._is_retry() or self.app.conf.task_inherit_parent_priority):
            return int(own)
        return given.priority(asked)
