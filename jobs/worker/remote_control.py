"""Celery's remote control under gevent, on a connection that is made anew whenever Redis was away, and what a refusing ACL lacks."""

import logging
import threading
from typing import Any

from celery.worker.consumer.control import Control
from celery.worker.pidbox import gPidbox
from redis.exceptions import NoPermissionError

from jobs.conf import configuration
from jobs.domain.complaint import Complaint

logger = logging.getLogger("jobs.worker")
PAUSE_S = 0.5


def refusal(channel: Any, error: Exception) -> PermissionError:
    """What Redis says to the subscription of a channel of kombu's, and what would mend it."""
    topics = [channel._get_subscribe_topic(queue) for queue in channel.active_fanout_queues]
    return _remedy(error, *(f"{configuration().key_prefix}{topic}" for topic in topics))


def _remedy(error: Exception, *channels: str) -> PermissionError:
    return PermissionError(f"{error}; its Redis user needs {' '.join(f'&{channel}' for channel in channels)}")


class Box(gPidbox):
    """Celery's ends for good with the first lost connection, and does not notice a half-open one."""

    def __init__(self, c: Any) -> None:
        super().__init__(c)
        self.refused = Complaint(logger, "remote control does not listen, jobs run all the same")

    def loop(self, c: Any) -> None:
        """Listen until told to stop."""
        shutdown = self._node_shutdown = threading.Event()
        stopped = self._node_stopped = threading.Event()
        try:
            while not shutdown.is_set() and c.connection:
                try:
                    self._listen(c, shutdown)
                except NoPermissionError as error:
                    self.refused.say(_remedy(error, self._channel()))
                    shutdown.wait(PAUSE_S)
                except (*c.connection_errors, *c.channel_errors, RuntimeError) as error:  # redis-py's, without a subscription
                    self.refused.say(error)
                    shutdown.wait(PAUSE_S)
        finally:
            stopped.set()

    def _channel(self) -> str:
        """That PSUBSCRIBE names. An ACL has to name it as well, letter by letter: a pattern around it does not allow it."""
        return f"{configuration().key_prefix}{self.node.channel.keyprefix_fanout}{self.node.mailbox.exchange.name}"

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
