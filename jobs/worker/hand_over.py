"""The next link of a chain goes on in the slot of the one that sent it, if nothing that is due comes first.

PostgreSQL decides that with the end of the link before (`jobs.store.links.complete_handing_on`); from then on the row runs
here. The message that the leader would have sent is made here, and Celery gets it as it gets all others.
"""

import json
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import celery
import gevent
from celery.worker import state
from gevent.event import Event
from kombu.message import Message
from kombu.utils.json import loads

from jobs.celery_app import messages
from jobs.celery_app.messages import Row
from jobs.domain import typed
from jobs.store.insert import NewJob
from jobs.store.transitions import Run
from jobs.worker import stopping

logger = logging.getLogger("jobs.worker")


@dataclass(eq=False, slots=True)
class Heir:
    """A job that runs here and has not begun; it holds the slot of the one before until its own greenlet does."""

    run: Run
    new: NewJob


class HandOver:
    """What a worker with greenlets hands on to itself."""

    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.consumer: Any = None  # None while no messages are taken
        self.channel: Any = None
        self.loop: object = None  # a consumer has another one after each loss of its connection
        self.alone = False  # a job is to run with no other beside it
        self.waiting: deque[Heir] = deque()
        self.wake = Event()

    @contextmanager
    def serving(self, consumer: Any, channel: Any) -> Iterator[None]:
        """While this consumer's loop runs, jobs are handed on; what has not begun at its end is given back."""
        self.consumer, self.channel, self.loop = consumer, channel, object()
        gevent.spawn(self._run, consumer, self.loop)
        try:
            yield
        finally:
            self.consumer = self.channel = self.loop = None
            self.wake.set()
            while self.waiting:
                gevent.spawn(self._give_back, self.waiting.popleft())

    def queues(self, new: NewJob) -> Sequence[str]:
        """The queues that this worker serves; none if the job must wait in its row: for its time, its turn, or another worker."""
        consumer, admission = self.consumer, self.worker.admission
        if consumer is None or self.alone or admission.closed or stopping.is_told():
            return ()
        if len(admission.holders) > admission.size or gevent.getcurrent() not in admission.holders:  # pool_shrink
            return ()
        if new.run_at is not None or '"expires"' in (new.options or "") or new.task_id in state.revoked:
            return ()
        if new.task not in consumer.strategies or consumer.app.tasks[new.task].Strategy != celery.Task.Strategy:
            return ()
        if consumer.task_buckets.get(new.task) is not None:  # a rate limit
            return ()
        served = list(self.channel._active_queues)
        return served if new.queue in served else ()

    def take(self, id: int, new: NewJob) -> None:
        """Begin with a job that runs here now; called where the one before it ended."""
        heir = Heir(Run(id=id, runs=1, worker=self.worker.engine.worker_id), new)
        self.worker.admission.pass_on(heir)
        if self.consumer is None:
            gevent.spawn(self._give_back, heir)
            return
        self.waiting.append(heir)
        self.wake.set()

    def _run(self, consumer: Any, loop: object) -> None:
        """Not in the greenlet of the job before: Celery's part of taking a message may wait for Redis."""
        while self.loop is loop:
            self.wake.wait()
            self.wake.clear()
            while self.waiting and self.loop is loop:
                self._begin(consumer, self.waiting.popleft())

    def _begin(self, consumer: Any, heir: Heir) -> None:
        if stopping.is_told() or not self.worker.engine.registration.held:
            gevent.spawn(self._give_back, heir)
            return
        try:
            consumer.take(message_of(heir))
        except Exception:  # whatever Celery, an event or a receiver of a signal raises
            logger.exception("job %s could not be started; it is released", heir.run.id)
            gevent.spawn(self._give_back, heir)
        else:
            self.worker.admission.leave(heir)  # its greenlet has the slot, or it ended without one

    def _give_back(self, heir: Heir) -> None:
        try:
            self.worker.engine.give_back(heir.run)
        finally:
            self.worker.admission.leave(heir)


def message_of(heir: Heir) -> Message:
    """The message of its run, decoded already: from what was kept of it as text, as if it had lain in Redis."""
    new = heir.new
    row = Row(
        id=heir.run.id, task_id=str(new.task_id), task=new.task, args=new.args, kwargs=new.kwargs, runs=0, attempts=0,
        max_retries=new.max_retries, timeout=new.timeout, autoretry=new.autoretry, options=new.options, priority=new.priority,
    )  # fmt: skip
    options = json.loads(new.options) if new.options else {}
    headers, properties = messages.parts(row, new.queue, options)
    embed = messages.embed_of(_decoded(new.options) if new.options and typed.MARK in new.options else options)
    body = (_decoded(new.args), _decoded(new.kwargs), embed)
    message = Message(
        body=body, delivery_tag=properties["delivery_tag"], delivery_info=properties["delivery_info"], properties=properties,
        headers=headers,
    )  # fmt: skip
    message._decoded_cache = body
    return message


def _decoded(text: str) -> Any:
    return loads(text) if typed.MARK in text else json.loads(text)
