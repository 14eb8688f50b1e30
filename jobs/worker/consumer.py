"""Celery's consumer with our fetch loop and with messages checked before anything runs."""

import logging
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import celery.worker.consumer
from celery import signals
from celery.exceptions import InvalidTaskError
from celery.utils.functional import LRUCache
from celery.utils.graph import DependencyGraph
from celery.worker import state
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.utils.imports import symbol_by_name

from jobs.celery_app import process_engine, signing, transport, unwritten
from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.domain.complaint import Complaint
from jobs.store import transitions
from jobs.store.engine import unless_locked
from jobs.store.transitions import Failure
from jobs.worker import farewell, foreign, remote_control, stopping, unreadable
from jobs.worker.fetching import fetch_loop
from jobs.worker.popper import PAUSE_S
from jobs.worker.rate_limits import Turns

logger = logging.getLogger("jobs.worker")
# Sent for each job. Without its cache Celery looks for the receivers of each under a lock, which costs more under gevent.
OFTEN = (signals.task_received, signals.task_prerun, signals.task_success, signals.task_postrun)
OURS = {
    "Control": "jobs.worker.remote_control:RemoteControl",
    "Heart": "jobs.worker.heart:Heart",
    "Tasks": "jobs.worker.fetching_elsewhere:Tasks",
}
PREFORK = "celery.concurrency.prefork"
# A connection that did not last so long was refused something; the rest before the next grows up to so much.
SHORT_S, LONGEST_REST_S = 10.0, 3.0
UNKNOWN_FOR = 60.0  # seconds before a job whose task nobody knows is buried
_KNOWN = """SELECT EXISTS (SELECT 1 FROM jobs_worker
 WHERE id <> %s AND tasks::jsonb @> to_jsonb(%s::text) AND queues::jsonb @> to_jsonb(%s::text))"""


class Consumer(celery.worker.consumer.Consumer):
    """Verifies each message; pops exactly as many as slots are free."""

    class Blueprint(celery.worker.consumer.Consumer.Blueprint):
        """Celery's, with a remote control that survives Redis, a heart that does not wait for it, and messages for free slots only."""

        default_steps = tuple(OURS.get(step.partition(":")[2], step) for step in celery.worker.consumer.Consumer.Blueprint.default_steps)

        def _finalize_steps(self, steps: dict[str, Any]) -> list[Any]:
            """Celery's order; where one of its steps is required that ours are in place of, ours is, or both would run."""
            pairs = zip(celery.worker.consumer.Consumer.Blueprint.default_steps, self.default_steps, strict=True)
            ours = {symbol_by_name(stock): symbol_by_name(step) for stock, step in pairs if stock != step}
            self._firstpass(steps)
            for stock in ours:
                steps.pop(stock.name, None)
            last = self._find_last()
            # In the graph alone, not in the classes: a worker of a Celery app without jobs may run in this process as well.
            edges = [(step, [ours.get(required, required) for required in step.requires]) for step in steps.values()]
            self.graph = DependencyGraph(edges, formatter=self.GraphFormatter(root=last))
            for step in steps.values():
                if last not in (None, step):
                    self.graph.add_edge(last, step)
            return self.graph.topsort()

        def send_all(self, parent: Any, method: str, *args: Any, **kwargs: Any) -> None:
            """Celery's; once a worker stops that Redis does not answer, without the steps that would ask it."""
            steps = parent.steps
            if parent.is_unheard:
                parent.steps = [step for step in steps if not farewell.is_said_by(step)]
            try:
                super().send_all(parent, method, *args, **kwargs)
            finally:
                parent.steps = steps

    remote_control: Any = None  # under gevent
    connected_at = -math.inf  # time.monotonic()
    rest = 0.0  # seconds: the last one
    ticks: Collection[Any] = ()  # what Celery's loop calls for the connection of now
    is_unheard = False  # the worker stops, and Redis does not answer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting = Complaint(logger, "waiting for Redis", logging.ERROR)
        self.away = Complaint(logger, "Redis does not answer, what runs goes on", logging.ERROR)
        self.refusing = Complaint(logger, "Redis gives no messages, what runs goes on", logging.ERROR)
        self.unsigned = Complaint(logger, "refused a message that is not signed by this project", logging.ERROR)
        self.unheard = Complaint(logger, "what other programs tell all workers is not heard, jobs run all the same")
        transport.is_stopping, transport.may_lack = stopping.is_told, self._may_lack
        for signal in OFTEN:
            signal.use_caching = True
        self.turns: dict[str, Turns] = defaultdict(Turns)  # of tasks with a rate limit
        self.is_verified: Callable[[Any], bool] = lambda headers: False  # known to be ours already
        self.take: Callable[[Any], None] = lambda message: None  # a message that was made in this process
        self.receive: Callable[[Any], None] = lambda message: None  # one that came, and that kombu has no account of
        self.unknown: LRUCache = LRUCache(limit=10_000)  # job with a task that is not known here: since when none knows it; inf: one does
        if getattr(self.controller, "admission", None) is not None:
            self.loop = fetch_loop

    def connect(self) -> Any:
        """Celery's. What its loop was to call for the connection before, nobody takes out of it: it would call more each time Redis comes
        back, and keep all that belonged to that connection.
        """
        called = set() if self.hub is None else self.hub.on_tick
        called.difference_update(self.ticks)
        before = set(called)
        try:
            return super().connect()
        finally:
            self.ticks, self.connected_at = called - before, time.monotonic()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Celery's. It connects anew at once, and again, six times a second with some lines in the log each time, where a Redis that
        answers refuses what is asked of it next: it rests between them, longer each time.
        """
        super().on_connection_error_after_connected(exc)
        now = time.monotonic()
        self.rest = min(max(2 * self.rest, PAUSE_S), LONGEST_REST_S) if now - self.connected_at < SHORT_S else 0.0
        while time.monotonic() < now + self.rest:
            state.maybe_shutdown()
            time.sleep(PAUSE_S)

    def ensure_connected(self, conn: Any) -> Any:
        """Celery's, but asks twice a second for ever: its pause grows to 32 s, and after 100 of them it gives up."""

        def told(error: Exception, interval: float) -> None:
            self.waiting.say(error)

        conn.ensure_connection(told, interval_start=2 * PAUSE_S, interval_step=0, callback=state.maybe_shutdown)
        self.first_connection_attempt = False
        return conn

    def _may_lack(self, channel: Any, error: Exception) -> bool:
        """Gossip and remote control, where they listen on the connection that also brings the jobs: by it all would end."""
        if channel.connection.client is not self.connection:
            return False
        self.unheard.say(remote_control.refusal(channel, error))
        return True

    def cancel_active_requests(self) -> None:
        """Celery's under prefork, which ends the children. The other pools cannot end a job so, and the engine's stop gives it back."""
        if self.controller.pool_cls.__module__ == PREFORK:
            super().cancel_active_requests()

    def stop(self) -> None:
        """End for good."""
        self.is_unheard = not farewell.is_heard(self.app)
        if self.is_unheard:
            farewell.omit(self)
        super().stop()

    def add_task_queue(self, queue: str, *args: Any, **options: Any) -> None:
        """`celery control add_consumer`: the leader sends to the queues that the worker's row names."""
        super().add_task_queue(queue, *args, **options)
        self._tell_queues()

    def cancel_task_queue(self, queue: str) -> None:
        """`celery control cancel_consumer`."""
        super().cancel_task_queue(queue)
        self._tell_queues()

    def _tell_queues(self) -> None:
        engine = self.controller.engine
        engine.registration.change(engine.write, queues=sorted(self.app.amqp.queues.consume_from))

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Celery's handler behind the check of the signature."""
        handle = super().create_task_handler(*args, **kwargs)

        def take(message: Any) -> None:
            message.ack_log_error = message.reject_log_error = _acknowledged
            handle(message)

        self.take = take

        def start(message: Any) -> Any:
            """What Celery's handler does with a message of a task that it knows, without a promise to acknowledge it."""
            strategy = self.strategies.get(message.headers["task"])
            if strategy is None or self.loop is not fetch_loop:
                return handle(message)
            try:
                return strategy(message, None, _acknowledged, _acknowledged, self.on_task_message)
            except (InvalidTaskError, ContentDisallowed) as error:
                return self.on_invalid_task(None, message, error)
            except DecodeError as error:
                return self.on_decode_error(message, error)

        def receive(message: Any) -> Any:
            message.ack_log_error = message.reject_log_error = _acknowledged
            headers = message.headers or {}
            body = message.body.decode("utf-8", "replace") if isinstance(message.body, bytes) else str(message.body)
            if self.is_verified(headers) or signing.verify(headers, body):
                reason = unreadable.problem(message) or unreadable.strategy(self.app.tasks.get(headers["task"]))
                return unreadable.refuse(message, reason) if reason else start(message)
            if configuration().accept_foreign and "sig" not in headers:
                foreign.take_in(self.app, message)
            else:
                self.unsigned.say(PermissionError(f"(task {str(headers.get('task'))[:200]!r}); is SECRET_KEY the same in all processes?"))
            return None

        self.receive = receive

        def on_task_received(message: Any) -> Any:
            message.ack_log_error(logger, self.connection_errors)
            return receive(message)

        return on_task_received

    def _limit_task(self, request: Any, bucket: Any, tokens: int) -> Any:
        """A task with a `rate_limit`: its job runs now, or is given back until its turn."""
        headers = request.request_dict
        wait = self.turns[request.name].wait(headers["job_id"], bucket.fill_rate, time.monotonic())
        if not wait:
            return self._limit_move_to_pool(request)
        engine = process_engine.current()
        if (run := process_engine.claim(headers)) is not None:
            engine.write(unwritten.or_left(unless_locked(partial(transitions.release, run=run, delay=wait))))
            engine.held.pop(run.id, None)
        return None

    def on_invalid_task(self, body: Any, message: Any, exc: Any) -> None:
        """A message of ours whose headers Celery cannot read: its row was written so, and would come again for ever."""
        unreadable.refuse(message, own_failures.UNREADABLE_OPTIONS % {"error": exc})

    def on_decode_error(self, message: Any, exc: Any) -> None:
        """The same for its body."""
        unreadable.refuse(message, own_failures.UNREADABLE % {"error": exc})

    def on_unknown_task(self, body: Any, message: Any, exc: Any) -> None:
        """Give the job back for a while: another worker may know the task; then bury it with that message."""
        headers = message.headers
        name = headers["task"]
        engine = process_engine.current()
        run = process_engine.claim(headers)
        if run is None:
            return
        engine.held.pop(run.id, None)
        elsewhere = engine.write(lambda cursor: _is_known(cursor, engine.worker_id, name, headers["job_queue"]))
        now = time.monotonic()
        if run.id not in self.unknown:
            signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=headers["id"])
        self.unknown[run.id] = since = math.inf if elsewhere else min(self.unknown.get(run.id, math.inf), now)
        if now - since < UNKNOWN_FOR:
            # Not even: workers ask Redis anew each second, and would meet the job in the same order for a minute.
            pause = random.uniform(0.5, 1.5) if elsewhere else min(5.0, UNKNOWN_FOR)
            engine.write(unwritten.or_left(unless_locked(partial(transitions.release, run=run, delay=pause))))
            return
        del self.unknown[run.id]
        failure = Failure(error_class="UnknownTask", message=own_failures.UNKNOWN_TASK % {"task": repr(name)})
        if engine.write(unwritten.or_left(unless_locked(partial(transitions.bury, run=run, failure=failure, task=name)))):
            logger.critical("job %s failed for good and is in the Dead Letter Queue: no worker knows the task %r", run.id, name)


def _is_known(cursor: Any, but: int, task: str, queue: str) -> bool:
    """Whether another worker of the queue knows the task; the rows of dead ones are removed by the leader."""
    cursor.execute(_KNOWN, (but, task, queue))
    return bool(cursor.fetchone()[0])


def _acknowledged(*_: Any, **__: Any) -> None:
    """Nothing: a message is gone from Redis once it is here, also for tasks with acks_late; the row is what brings a job back."""
