"""Celery's remote control under gevent, on a connection that is made anew whenever Redis was away."""

import logging
import threading
from typing import Any

from celery.worker.consumer.control import Control
from celery.worker.pidbox import gPidbox

logger = logging.getLogger("jobs.worker")
PAUSE_S = 0.5


class Box(gPidbox):
    """Celery's ends for good with the first lost connection, and does not notice a half-open one."""

    def loop(self, c: Any) -> None:
        """Listen until told to stop."""
        shutdown = self._node_shutdown = threading.Event()
        stopped = self._node_stopped = threading.Event()
        try:
            while not shutdown.is_set() and c.connection:
                try:
                    self._listen(c, shutdown)
                except (*c.connection_errors, *c.channel_errors) as error:
                    logger.info("remote control: %s", error)
                    shutdown.wait(PAUSE_S)
        finally:
            stopped.set()

    def _listen(self, c: Any, shutdown: Any) -> None:
        resets = self._resets
        with c.connection_for_read() as connection:
            self._do_reset(c, connection)
            while not shutdown.is_set() and c.connection and self._resets == resets:
                try:
                    connection.drain_events(timeout=1.0)
                except TimeoutError:
                    pass


class RemoteControl(Control):
    """In place of Celery's step where there are greenlets."""

    name = "Control"

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        if self.is_green:
            self.box = c.remote_control = Box(c)
            self.start, self.stop, self.shutdown = self.box.start, self.box.stop, self.box.shutdown
