"""Exactly as many jobs as there are slots: a message is taken from Redis only when a slot is free."""

from typing import Any

import gevent
from gevent.event import Event


class Admission:
    """Which greenlets hold a slot: from the spawn until the completion is queued, or until the greenlet ends."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.holders: set[Any] = set()
        self.changed = Event()
        self.closed = False

    def enter(self, greenlet: Any) -> None:
        """Give a slot to a new greenlet."""
        self.holders.add(greenlet)
        greenlet.rawlink(self.leave)  # whatever happens, the end of the greenlet frees the slot

    def pass_on(self, heir: Any) -> None:
        """The slot of the greenlet that calls goes to something else, which leaves it."""
        self.holders.discard(gevent.getcurrent())
        self.holders.add(heir)

    def leave(self, greenlet: Any) -> None:
        """Free the slot of this greenlet; harmless when it was freed before."""
        self.holders.discard(greenlet)
        self.changed.set()

    def leave_current(self) -> None:
        """Free the slot of the greenlet that calls."""
        self.leave(gevent.getcurrent())

    @property
    def free(self) -> int:
        """How many slots are free."""
        return 0 if self.closed else max(0, self.size - len(self.holders))

    def wait(self, timeout: float) -> int:
        """How many slots are free, after waiting at most `timeout` seconds for one."""
        if not self.free:
            self.pause(timeout)
        return self.free

    def pause(self, seconds: float) -> None:
        """Until a slot is freed; `seconds` at most."""
        self.changed.clear()
        self.changed.wait(seconds)
