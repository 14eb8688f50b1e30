"""Another database whose leader sends through the same Redis under the same prefix: each one's workers take the other's messages."""

import logging
from typing import Any

from jobs.domain.complaint import Complaint
from jobs.store import sender

logger = logging.getLogger(__name__)


class Neighbour:
    """Says in Redis whose lanes these are, and in the log that somebody else said so."""

    def __init__(self, cursor: Any) -> None:
        self.own = sender.name(cursor)
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
