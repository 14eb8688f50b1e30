"""Under pools other than gevent, where Celery's own loop reads Redis: a message is taken only while a slot is free.

Else the worker would take all that waits: a message is gone from Redis once it is here, so nothing counts against Celery's prefetch.
"""

import os
import threading
import weakref
from contextlib import suppress
from functools import partial
from typing import Any, Final

import celery.worker.consumer.tasks
from celery.worker import state

FULL_S: Final = 0.1  # seconds between two looks for a free slot, where nothing wakes the loop when a task has ended


class Tasks(celery.worker.consumer.tasks.Tasks):
    """Celery's step, with another answer to whether the next message may be read."""

    waker: "Waker | None" = None

    def start(self, c: Any) -> None:
        """For each new connection."""
        super().start(c)
        if c.controller.admission is not None:
            return
        qos, ahead = c.task_consumer.channel.qos, multiplier(c.controller)
        may_read = qos.can_consume
        qos.can_consume = lambda: has_room(c.pool.num_processes * ahead) and may_read()
        if c.hub is None:
            drain = c.connection.drain_events
            c.connection.drain_events = lambda timeout=None: drain(timeout=timeout if qos.can_consume() else FULL_S)

    def register_with_event_loop(self, c: Any, hub: Any) -> None:
        """Where tasks end in other threads, that does not end the loop's wait by itself."""
        if self.waker is None:
            self.waker = Waker(c.pool)
        hub.add_reader(self.waker.reader, self.waker.drain)


def multiplier(worker: Any) -> int:
    """How many messages a worker may hold for each slot, the one that runs included. 0, which is no limit in Celery, is 1."""
    return max(int(worker.prefetch_multiplier), 1)


def has_room(most: int) -> bool:
    """Whether fewer tasks are here, running or on their way to the pool. Asked several times for each message."""
    reserved, active = state.reserved_requests, state.active_requests
    here = len(reserved)
    if here < len(active):  # Celery before 5.7 forgets what is reserved when it loses Redis, and it runs on
        here += sum(request not in reserved for request in list(active))
    return here < most


class Waker:
    """A pipe that is written to when another thread than the loop's has told of the end of a task."""

    def __init__(self, pool: Any) -> None:
        self.loop = threading.get_ident()
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        pool.on_apply = partial(self._apply, pool.on_apply)
        weakref.finalize(self, _close, self.reader, self.writer).atexit = False  # with the pool; its threads may end after the rest

    def drain(self) -> None:
        """Forget what was written: the loop is awake."""
        with suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass

    def _apply(self, on_apply: Any, *args: Any, callback: Any = None, error_callback: Any = None, **options: Any) -> Any:
        ends = {"callback": callback, "error_callback": error_callback}
        return on_apply(*args, **options, **{name: end and partial(self._told, end) for name, end in ends.items()})

    def _told(self, callback: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        finally:
            if threading.get_ident() != self.loop:
                with suppress(BlockingIOError):  # full: it will wake by what is in it
                    os.write(self.writer, b"\0")


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
