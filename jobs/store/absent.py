"""The leader of this database sends through another Redis than this process knows, or under another prefix."""

import logging
import time
from typing import Any, Final

import redis

from jobs.domain.complaint import Complaint
from jobs.store import broker, sender

logger = logging.getLogger(__name__)

EACH: Final = 5.0  # seconds between two looks


class Absent:
    """Looks for the leader's name in the own Redis: without it no job comes through that."""

    def __init__(self, conf: Any) -> None:
        self.client: Any = broker.of(conf, sender.TIMEOUT_S)
        self.own, self.next_look = "", 0.0  # monotonic
        self.elsewhere = sender.Elsewhere()
        self.complaint = Complaint(logger, "No job comes through this Redis")

    def look(self, cursor: Any, holder: int | None) -> None:
        """`holder`: the leader's session, None where there is none. Asks Redis now and then."""
        if (now := time.monotonic()) < self.next_look:
            return
        self.next_look = now + EACH
        self.own = self.own or sender.name(cursor)
        try:
            said = self.client.get(sender.key())
        except (redis.RedisError, OSError):  # the worker says so
            return
        if self.elsewhere.look(holder, self.own, said, now):
            what = "the leader has another REDIS_URL or JOBS_KEY_PREFIX than this process, or Redis takes nothing from it"
            self.complaint.say(RuntimeError(what))

    def close(self) -> None:
        """Disconnect."""
        self.client.close()
