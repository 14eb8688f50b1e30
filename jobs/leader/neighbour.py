"""Another database whose leader sends through the same Redis under the same prefix: each one's workers take the other's messages.

And the other way round: the leader of this database sends through another Redis than a standby and the worker beside it know.
"""

import logging
import time
from typing import Any, Final

import redis

from jobs.domain.complaint import Complaint
from jobs.store import broker, sender

logger = logging.getLogger(__name__)

EACH: Final = 5.0  # seconds between two looks of a standby


class Neighbour:
    """Says in Redis whose lanes these are, and in the log that somebody else said so."""

    def __init__(self, cursor: Any) -> None:
        self.own = _name(cursor)
        self.commands = (("GET", sender.key()), ("SET", sender.key(), self.own, "EX", sender.KEPT))
        self.complaint = Complaint(logger, "Two databases send their jobs through one Redis")

    def look(self, said: bytes | None) -> None:
        """What the first of the commands answered."""
        other = self.own if said is None else said.decode("utf-8", "replace")
        if other != self.own:
            what = (
                f"{self.own} and {other}; each needs a JOBS_KEY_PREFIX of its own, or jobs wait while workers refuse the other's messages"
            )
            self.complaint.say(RuntimeError(what))


class Absent:
    """A standby's look for the leader's name in its own Redis: without it no job comes to the worker beside this process."""

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
        self.own = self.own or _name(cursor)
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


def _name(cursor: Any) -> str:
    cursor.execute(sender.WHO)
    return str(cursor.fetchone()[0])
