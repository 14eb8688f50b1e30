"""Whether this worker was told to stop."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from celery import signals
from celery.worker import state

logger = logging.getLogger("jobs.worker")


def is_told() -> bool:
    """By a signal or by remote control. Celery's flag is the exit code then, and that of SIGTERM is 0, which equals False."""
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))


@contextmanager
def waking(wake: Callable[[], None]) -> Iterator[None]:
    """Meanwhile, a signal that tells the worker to stop calls this in a greenlet of its own, once the flag is set."""
    import gevent

    def call() -> None:
        try:
            wake()
        except redis.RedisError as error:
            logger.info("the wait for messages could not be cut short, it ends within a second: %s", error)

    def told(**_: Any) -> None:
        gevent.spawn(call)

    signals.worker_shutting_down.connect(told, weak=False)
    try:
        yield
    finally:
        signals.worker_shutting_down.disconnect(told)
