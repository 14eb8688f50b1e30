"""While Redis is away or takes no messages the leader keeps since when, for those who ask why a job waits."""

from typing import Any, Final

from jobs.leader.link import Link
from jobs.store import outages

EACH: Final = 5.0  # seconds between two notes


class Outage:
    """Says in the database what the link knows; asks nobody."""

    def __init__(self, cursor: Any, link: Link) -> None:
        self.cursor, self.link = cursor, link
        self.noted: float | None = 0.0  # monotonic; 0.0: an earlier leader may have noted something, None: nothing is noted
        self.part = ""  # that was noted last

    def look(self, now: float) -> None:
        """`now` in monotonic seconds."""
        trouble = self.link.trouble(now)
        if trouble is None:
            if self.noted is not None and self.link.is_open:
                outages.clear(self.cursor)
                self.noted = None
            return
        part, since = trouble
        if self.noted is None or part != self.part or now - self.noted >= EACH:
            outages.note(self.cursor, part, max(now - since, 0.0))
            self.noted, self.part = now, part
