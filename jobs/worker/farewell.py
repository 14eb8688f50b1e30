"""How a worker that was told to stop parts from Redis: by Celery's own steps where it answers, without a word where it does not.

Each of those steps (worker-offline, the end of gossip, of remote control and of the events) waits for an answer of its own.
"""

import logging
from typing import Any

import redis
from celery.bootsteps import ConsumerStep

from jobs.store import broker

logger = logging.getLogger("jobs.worker")
TIMEOUT_S = 1.0
_SPEAKERS = ("celery.worker.consumer.", "jobs.worker.remote_control", "jobs.worker.heart")


def is_heard(app: Any) -> bool:
    """Whether Redis answers within a second; True for a broker of another kind, which nobody can ask here."""
    try:
        client = broker.of(app.conf, TIMEOUT_S, reading=True)
    except ValueError:
        return True
    try:
        with client:
            return bool(client.ping())
    except redis.RedisError as error:
        logger.warning("stopping without telling Redis, which does not answer (%s)", error)
        return False


def is_said_by(step: Any) -> bool:
    """Whether a step of the consumer's ends with something that it sends to Redis."""
    return isinstance(step, ConsumerStep) or type(step).__module__.startswith(_SPEAKERS)


def omit(consumer: Any) -> None:
    """What ends by itself once the steps are left out: remote control, and a timer's thread that sends heartbeats."""
    consumer.connection = None
    if hasattr(consumer.timer, "running"):
        consumer.timer.running = False  # or its stop() waits for the thread
