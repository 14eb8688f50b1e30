"""A page of memory on which the processes of a worker write their next deadline and that they live, for the process beside them."""

import math
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator

_ENTRY = struct.Struct("qdd")  # process number, its deadline, when it last wrote
PLACES = mmap.PAGESIZE // _ENTRY.size


def memory() -> int | None:
    """A page of empty memory, by its file descriptor, without a name; None where descriptors cannot be handed on (Windows)."""
    if os.name != "posix":
        return None
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("jobs")
    else:
        with tempfile.TemporaryFile(prefix="jobs-") as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, mmap.PAGESIZE)
    return descriptor


class Board:
    """Forked children share it; a spawned one, or another program, opens it by its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)

    @classmethod
    def make(cls) -> "Board | None":
        """An empty one; None where there is no such memory."""
        descriptor = memory()
        return None if descriptor is None else cls(descriptor)

    def write(self, place: int, ends: float, now: float) -> None:
        """This process's next deadline (math.inf: none) and the time, both of time.monotonic(). A place that the page does not have is
        left out."""
        if place < PLACES:
            _ENTRY.pack_into(self._memory, place * _ENTRY.size, os.getpid(), ends, now)

    def passed(self, now: float) -> Iterator[int]:
        """The processes whose deadline is over."""
        for pid, ends, _ in self._entries():
            if math.isfinite(ends) and now > ends:
                yield pid

    def wrote(self, pid: int) -> float | None:
        """When this process did so last. None: never."""
        return next((at for number, _, at in self._entries() if number == pid), None)

    def _entries(self) -> Iterator[tuple[int, float, float]]:
        for pid, ends, at in _ENTRY.iter_unpack(self._memory[: PLACES * _ENTRY.size]):
            if pid:
                yield pid, ends, at
