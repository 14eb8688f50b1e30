"""The database's clock is set while jobs run: they keep the time that they were given, which their workers count by clocks of their own."""

import logging
from typing import Any, Final

from jobs.leader.look import Reading
from jobs.store import deadline
from jobs.store.transitions import Run

logger = logging.getLogger(__name__)

STEP: Final = 1.0  # seconds; by less a deadline may be wrong (jobs.leader.look.LATE)


class Steps:
    """Knows by two readings that the clock was set in between, and what has run since before."""

    def __init__(self) -> None:
        self.last: Reading | None = None
        self.owed: dict[Run, float] = {}  # what ran then: the seconds by which its deadline is to be moved

    def look(self, cursor: Any, now: Reading) -> None:
        """Compare with the last reading."""
        last, self.last = self.last, now
        if last is None:
            return
        passed = now.at - last.at
        least, most = passed - (now.answered - last.asked), passed - (now.asked - last.answered)
        if least <= STEP and most >= -STEP:
            return
        # Up to here what ran says the old time. Where it was set back a run of the last moments may say either, and keeps the later end.
        begun = deadline.begun(cursor, before=now.at - least if least > 0 else last.at + least)
        self.owed |= {run: self.owed.get(run, 0.0) + most for run in begun}
        logger.warning("The clock of PostgreSQL was set by %+.1f s; %s running jobs keep their time", most, len(begun))
