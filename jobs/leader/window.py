"""What is believed to lie in Redis, per (queue, lane), and what has just left it."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any, Final

from jobs.domain.priority import HIGHEST, LOWEST

Lane = tuple[str, int]  # queue, lane
Sent = tuple[int, int, int]  # id, runs and priority of the row when it was sent
# The same in SQL, of a row j: with another priority it is another mark, so that it is sent again at once.
MARK: Final = "((j.id << 24) + ((j.runs & 1048575) << 4) + j.priority)"
_BITS: Final = (1 << 64) - 1
_BIGGEST: Final = 1 << 63  # numbers of rows are below it


def mark(sent: Sent) -> int:
    """One number for a row, its runs and its priority, as the pick computes it: of 64 bits with their sign, whatever the row's number."""
    bits = ((sent[0] << 24) + ((sent[1] & 1048575) << 4) + sent[2]) & _BITS
    return bits - (bits >> 63 << 64)


class Window:
    """Messages sent and not yet known to be claimed."""

    def __init__(self) -> None:
        self.lying: dict[Lane, deque[Sent]] = {}  # oldest first
        self.left: dict[Sent, Lane] = {}  # popped by a worker, or lost
        self.missed: set[Sent] = set()  # missing in Redis and still pending at the last resync
        self.read: dict[int, Sent | None] = {}  # what the messages of the last resync say, by their hashes: to read JSON takes longer

    def lanes(self) -> list[Lane]:
        """The lanes that may have something in Redis."""
        return [lane for lane, rows in self.lying.items() if rows]

    def add(self, lane: Lane, rows: Iterable[Sent]) -> None:
        """These were pushed."""
        self.lying.setdefault(lane, deque()).extend(rows)

    def lengths(self, lanes: Sequence[Lane], found: Sequence[int]) -> int:
        """Note the lanes' lengths; how many messages have left. What leaves first is what was pushed first."""
        gone = 0
        for lane, length in zip(lanes, found, strict=True):
            rows = self.lying.setdefault(lane, deque())
            while len(rows) > length:
                self.left[rows.popleft()] = lane
                gone += 1
        return gone

    def used(self, lane: Lane) -> int:
        """How many lie in this lane."""
        return len(self.lying.get(lane, ()))

    def held(self) -> int:
        """How many lie in all lanes."""
        return sum(map(len, self.lying.values()))

    def has(self, sent: Sent) -> bool:
        """Whether it is sent and not known to be claimed."""
        return sent in self.left or any(sent in rows for rows in self.lying.values())

    def settle(self, pending: set[Sent]) -> None:
        """Drop what has left Redis and is claimed."""
        self.left = {sent: lane for sent, lane in self.left.items() if sent in pending}

    def marks(self) -> list[int]:
        """What a pick must leave out."""
        return [mark(sent) for sent in self._all()]

    def _all(self) -> Iterator[Sent]:
        for rows in self.lying.values():
            yield from rows
        yield from self.left

    def resync(self, lanes: dict[Lane, list[Any]], beside: Callable[[], None] = lambda: None) -> list[Sent]:
        """Take over what Redis really holds; return what is sent and not there, to be looked up. `beside`: done between two lanes."""
        known = {sent: lane for lane, rows in self.lying.items() for sent in rows}
        self.lying, before, self.read = {}, self.read, {}
        for lane, messages in lanes.items():
            beside()
            rows = [sent for message in reversed(messages) if (sent := self._said(message, before))]  # LPUSH: the oldest is last
            if rows:  # an empty lane is read again only while somebody serves its queue
                self.lying[lane] = deque(rows)
            for sent in rows:
                known.pop(sent, None)
                self.left.pop(sent, None)
        self.left.update(known)
        return list(self.left)

    def _said(self, message: bytes, before: dict[int, Sent | None]) -> Sent | None:
        key = hash(message)
        sent = self.read[key] = before[key] if key in before else _sent(message)
        return sent

    def drop(self, moved: Set[tuple[int, str]]) -> None:
        """Forget the messages of jobs (id and queue of the message) that may be sent elsewhere, though these still lie there."""
        for queue in {queue for _, queue in moved}:
            for lane, rows in self.lying.items():
                if lane[0] == queue:
                    self.lying[lane] = deque(sent for sent in rows if (sent[0], queue) not in moved)

    def forget(self, pending: set[Sent]) -> int:
        """Drop what is claimed, and what was missing and pending twice: that was lost. Return how many were lost."""
        lost = self.missed & pending
        for sent in list(self.left):
            if sent not in pending or sent in lost:
                del self.left[sent]
        self.missed = pending - lost
        return len(lost)


def _sent(message: bytes) -> Sent | None:
    """None for what is not one of ours: no JSON that Python can read, or numbers that no row has."""
    try:
        headers = json.loads(message)["headers"]
        id, runs, priority = int(headers["job_id"]), int(headers["runs"]) - 1, int(headers["job_priority"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return (id, runs, priority) if -_BIGGEST <= id < _BIGGEST and 0 <= runs < 1 << 31 and LOWEST <= priority <= HIGHEST else None
