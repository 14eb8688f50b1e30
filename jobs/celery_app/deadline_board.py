"""A page of memory on which the processes of a worker write their next deadline, for the process that runs beside them."""

import math
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator

_ENTRY = struct.Struct("qd")  # process number, its deadline
PLACES = mmap.PAGESIZE // _ENTRY.size


class Board:
    """Forked children share it; another program opens it by its file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)

    @classmethod
    def make(cls) -> "Board | None":
        """An empty one, without a name in the file system; None where descriptors cannot be handed on (Windows)."""
        if os.name != "posix":
            return None
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("jobs-deadlines")
        else:
            with tempfile.TemporaryFile(prefix="jobs-deadlines-") as file:
                descriptor = os.dup(file.fileno())
        os.truncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    def write(self, place: int, ends: float) -> None:
        """This process's next deadline (time.monotonic(); math.inf: none). A place that the page does not have is left out."""
        if place < PLACES:
            _ENTRY.pack_into(self._memory, place * _ENTRY.size, os.getpid(), ends)

    def passed(self, now: float) -> Iterator[int]:
        """The processes whose deadline is over."""
        for pid, ends in _ENTRY.iter_unpack(self._memory[: PLACES * _ENTRY.size]):
            if pid and math.isfinite(ends) and now > ends:
                yield pid
