"""Another database whose leader sends through the same Redis under the same prefix: each one's workers take the other's messages."""

import logging
from typing import Any, Final

from jobs.conf import configuration
from jobs.domain.complaint import Complaint

logger = logging.getLogger(__name__)

KEY: Final = "\0database"  # no lane: the name of a queue has no NUL
KEPT: Final = 30  # seconds that a leader's name stays in Redis after it was last said
# The same after a failover to a copy that follows it, another in a copy that was restored.
_WHO: Final = "SELECT current_database() || ' of system ' || system_identifier FROM pg_control_system()"


class Neighbour:
    """Says in Redis whose lanes these are, and in the log that somebody else said so."""

    def __init__(self, cursor: Any) -> None:
        cursor.execute(_WHO)
        self.own = str(cursor.fetchone()[0])
        key = configuration().key_prefix + KEY
        self.commands = (("GET", key), ("SET", key, self.own, "EX", KEPT))
        self.complaint = Complaint(logger, "Two databases send their jobs through one Redis")

    def look(self, said: bytes | None) -> None:
        """What the first of the commands answered."""
        other = self.own if said is None else said.decode("utf-8", "replace")
        if other != self.own:
            what = (
                f"{self.own} and {other}; each needs a JOBS_KEY_PREFIX of its own, or jobs wait while workers refuse the other's messages"
            )
            self.complaint.say(RuntimeError(what))
