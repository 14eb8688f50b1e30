"""The thread that fills the index of words, a little at a time."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from jobs import masking
from jobs.domain.complaint import Complaint
from jobs.domain.numbers import HIGHEST
from jobs.leader.load import Load
from jobs.store import engine, search

logger = logging.getLogger(__name__)

BUSY: Final = 0.5  # seconds between two steps while there is more, at least
SHARE: Final = 10  # a step may take one part in so many of the time
CROWDED: Final = 50  # the same while jobs wait for room: whoever waits for a job has the machine
QUIET: Final = 2.0  # seconds
REPAIR: Final = 3600.0  # seconds between two walks over all rows: what an index step has missed, and rows of deleted jobs


class Indexer:
    """Fills what is new; now and then walks over everything. A standby leaves that to the leader."""

    def __init__(self, connection: Any, load: Load) -> None:
        self.connection, self.load = connection, load
        self.place: int | None = -HIGHEST  # of the walk; None: it has ended
        self.next_walk = 0.0

    def step(self, clock: Callable[[], float] = time.monotonic) -> float:
        """One small piece of work; how many seconds to wait before the next."""
        begun = clock()
        if not self.load.leads or not self._work(begun):
            return QUIET
        return max(BUSY, ((CROWDED if self.load.crowded else SHARE) - 1) * (clock() - begun))

    def _work(self, now: float) -> bool:
        """Whether there is more to do."""
        with self.connection, self.connection.cursor() as cursor:
            number = search.fill(cursor, masking.positional)
        if number >= search.CHUNK:
            return True
        if self.place is None and now >= self.next_walk:
            self.place = -HIGHEST
        if self.place is not None:
            with self.connection, self.connection.cursor() as cursor:
                self.place = search.repair(cursor, self.place, masking.positional)
            self.next_walk = now + REPAIR
            return True
        return False


def run(stop: threading.Event, load: Load) -> None:
    """Until told to stop. A lost connection is one line in the log."""
    complaint = Complaint(logger, "Indexing")
    while not stop.wait(QUIET):  # who starts a worker waits for its first jobs
        try:
            connection = engine.connect("jobs search")
            connection.autocommit = False  # the lock of a step lasts until its end
            try:
                indexer = Indexer(connection, load)
                while not stop.wait(indexer.step()):
                    pass
            finally:
                connection.close()
        except Exception as error:  # a server that is away: the thread must outlive it
            complaint.say(error)
            stop.wait(5.0)
