"""The loop of a gevent worker in place of Celery's: from Redis to the pool."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from celery import bootsteps
from celery.worker import state

from jobs.conf import configuration
from jobs.store import broker
from jobs.store.locks import ALONE, ALONE_S, NEIGHBOURS_S
from jobs.worker import other_consumers, stopping
from jobs.worker.early_claims import EarlyClaims
from jobs.worker.oldest import Lanes
from jobs.worker.popped import Popped
from jobs.worker.popper import PAUSE_S, Popper, is_alone, read

logger = logging.getLogger("jobs.worker")


def fetch_loop(consumer: Any, connection: Any, task_consumer: Any, blueprint: Any, hub: Any, qos: Any, *_: Any, **__: Any) -> None:
    """In place of Celery's synloop: from the highest lane that has any, as many messages as there are free slots."""
    task_consumer.on_message = consumer.create_task_handler()
    task_consumer.consume()
    other_consumers.start(consumer, connection, task_consumer.channel, blueprint)
    consumer.on_ready()
    worker, channel = consumer.controller, task_consumer.channel
    gathering, options = worker.engine.gathering, worker.app.conf.broker_transport_options
    lanes = Lanes(configuration().key_prefix, options.get("queue_order_strategy"))
    popper, early = Popper(broker.of(worker.app.conf, reading=True), gathering), EarlyClaims(consumer, worker.engine)
    consumer.is_verified = early.is_verified
    with worker.hand_over.serving(consumer, channel):
        while blueprint.state == bootsteps.RUN and consumer.connection:
            gathering.end()
            consumer.perform_pending_operations()
            if not worker.admission.free:
                gathering.begin()
            free = worker.admission.wait(1.0)
            state.maybe_shutdown()  # after SIGTERM no further message is taken
            if not free or not worker.engine.registration.held:
                if free:
                    worker.admission.pause(0.2)
                continue
            if lanes.queues != channel._active_queues:
                lanes.serve(channel._active_queues)
            try:
                found = lanes.pop(popper, free)
            except redis.RedisError as error:
                wait_for_redis(consumer, popper, error)
                continue
            if found and stopping.is_told():  # told to stop while it waited for them
                for key, messages in reversed(found):
                    popper.put_back(key, messages)
                continue
            taken = sorted(filter(None, [read(text) for _, messages in found for text in messages]), key=is_alone)
            if worker.engine.registration.held:  # else none is claimed; it may have waited for a second
                early.ask(taken)
            gathering.end()
            time.sleep(0)  # the claims leave before Celery has its turn
            for message in taken:
                start = partial(deliver, consumer, task_consumer, message)
                if is_alone(message):
                    run_alone(consumer, worker, start)
                else:
                    start()


def deliver(consumer: Any, task_consumer: Any, text: dict[str, Any]) -> None:
    """Hand a message on as kombu does, but for its account of what is not acknowledged: it left Redis when it was popped."""
    try:
        message = Popped(text, channel=task_consumer.channel)
    except Exception:  # whatever a decoder of bodies meets
        logger.error("refused what is not a message: %r", str(text)[:200])
        return
    message.accept = task_consumer.accept
    if message.errors:
        message._reraise_error(consumer.on_decode_error)
    else:
        consumer.receive(message)


def run_alone(consumer: Any, worker: Any, start: Callable[[], None]) -> None:
    """A job that lost its worker twice: nothing else may run here while it does. The lock keeps the leader from sending another,
    or this one again; where it is refused, the message is one too many. Long jobs bound this: see ALONE_S. No job of a higher priority
    starts meanwhile either: it would be one more neighbour to wait for, and where they keep coming this one would never be alone.
    """
    registration = worker.engine.registration
    if not registration.lock(ALONE):
        return
    worker.hand_over.alone = True
    begun = time.monotonic()
    try:
        if _wait_until_empty(consumer, worker, begun + NEIGHBOURS_S):
            start()
            _wait_until_empty(consumer, worker, begun + ALONE_S)
    finally:
        worker.hand_over.alone = False
        registration.unlock(ALONE)


def _wait_until_empty(consumer: Any, worker: Any, end: float) -> bool:
    """Until no job runs here, or then. False when the lock was lost meanwhile. Raises WorkerShutdown when told to stop."""
    while worker.admission.holders and time.monotonic() < end:
        consumer.perform_pending_operations()
        state.maybe_shutdown()
        worker.admission.pause(PAUSE_S)
    return bool(worker.engine.registration.held)


def wait_for_redis(consumer: Any, popper: Popper, error: redis.RedisError) -> None:
    """Until Redis answers again. Raises WorkerShutdown when told to stop."""
    popper.close()
    (consumer.refusing if isinstance(error, redis.ResponseError) else consumer.away).say(error)
    while True:
        consumer.perform_pending_operations()
        state.maybe_shutdown()
        time.sleep(PAUSE_S)  # also before one that answers: a replica, say, goes on refusing what is asked of it
        try:
            popper.client.ping()
        except redis.RedisError:
            continue
        break
    if consumer.remote_control is not None:
        consumer.remote_control.reset()
