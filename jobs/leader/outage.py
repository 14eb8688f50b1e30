"""While Redis is away the leader keeps since when, for those who ask why a job waits."""

from typing import Any, Final

from jobs.leader.link import Link
from jobs.store import outages

EACH: Final = 5.0  # seconds between two notes


class Outage:
    """Says in the database what the link knows; asks nobody."""

    def __init__(self, cursor: Any, link: Link) -> None:
        self.cursor, self.link = cursor, link
        self.noted: float | None = 0.0  # monotonic; 0.0: an earlier leader may have noted something, None: nothing is noted

    def look(self, now: float) -> None:
        """`now` in monotonic seconds."""
        away_since = self.link.away_since
        if away_since is None:
            if self.noted is not None and self.link.is_open:
                outages.clear(self.cursor, outages.REDIS)
                self.noted = None
        elif self.noted is None or now - self.noted >= EACH:
            outages.note(self.cursor, outages.REDIS, max(now - away_since, 0.0))
            self.noted = now
