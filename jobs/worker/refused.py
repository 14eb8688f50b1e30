"""What PostgreSQL refuses to this process is said in the log, and where it lasts also to those who watch the system."""

import logging
import math
import time
from typing import Final

import psycopg2

from jobs.domain.complaint import Complaint, first_line
from jobs.store import refused
from jobs.store.engine import PASSING

PATIENCE_S: Final = 5.0  # before anything is told: servers restart, and rows are locked
_OF_ALL: Final = ("25", "42", "53", "58", "XX")  # read-only, rights and tables, room, the disk, PostgreSQL itself; not a trigger's own
EACH_S: Final = 3.0  # between two notes


class Met:
    """Since when this process has been refused something, whichever of its writes it was."""

    def __init__(self, *, all_writes: bool) -> None:
        self.all_writes = all_writes
        self.since = self.at = self.noted = -math.inf  # monotonic

    def hear(self, error: BaseException, now: float) -> None:
        """Note it where it lasts."""
        if now - self.at >= refused.FRESH:
            self.since = now
        self.at = now
        if now - self.since >= PATIENCE_S and now - self.noted >= EACH_S:
            self.noted = now
            refused.note(first_line(error), now - self.since, all_writes=self.all_writes)


logger = logging.getLogger("jobs.worker")
_of_all: Final = Met(all_writes=True)
_of_some: Final = Met(all_writes=False)


class Refused(Complaint):
    """A complaint about what PostgreSQL does not take."""

    def say(self, error: BaseException, *, now: float | None = None) -> None:
        """As any, and to those who watch."""
        super().say(error, now=now)
        if not isinstance(error, psycopg2.Error) or error.pgcode is None or isinstance(error, PASSING):
            return  # without a code the server has said nothing: it is away, and that is told anyway
        met = _of_all if error.pgcode.startswith(_OF_ALL) else _of_some
        met.hear(error, time.monotonic() if now is None else now)


def not_yet(job: int | None = None) -> Refused:
    """Says what keeps something from being written, while that lasts."""
    what = "what this worker has to write" if job is None else f"the end of job {job}"
    return Refused(logger, f"{what} is kept, and written as soon as PostgreSQL takes it", after=PATIENCE_S)
