"""What `up` prints: its own lines and those of its parts. Nobody waits for a terminal that does not read."""

import os
import queue
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from jobs.dev.places import private

LIMIT = 20 * 1024 * 1024  # bytes of one log file


class Console:
    """Lines leave through one thread, so a full pipe stops neither the supervisor nor its parts."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=10_000)
        self._thread = threading.Thread(target=self._print, name="console", daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Print one line soon; drop it when ten thousand wait already."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            pass

    def close(self) -> None:
        """Print what waits, for two seconds at most."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout=2)

    def _print(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                print(line, flush=True)
            except (OSError, ValueError):
                return  # the terminal is gone: the log files have it all
            except UnicodeEncodeError:
                print(line.encode("ascii", "backslashreplace").decode(), file=sys.stdout, flush=True)


class Log:
    """The log file of one part. The part writes it itself, so it outlives the supervisor; new lines are shown as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        private(path.parent)
        self._place = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def opened(self) -> BinaryIO:
        """The file to append to; only its owner may read it: it holds tracebacks, and that of the preparation a password."""
        return open(self.path, "ab", opener=_private)

    def new_lines(self) -> list[str]:
        """The whole lines written since the last call; a file that grew too long is put aside."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._place:  # somebody has emptied it
                self._place, self._rest = 0, b""
            file.seek(self._place)
            data = self._rest + file.read()
            self._place = file.tell()
        *lines, self._rest = data.split(b"\n")
        if self._place > LIMIT:
            self._put_aside()
        return [line.decode("utf-8", "replace") for line in lines]

    def last_lines(self, count: int) -> list[str]:
        """The end of the file."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]

    def _put_aside(self) -> None:
        """The part keeps the file open for appending: copy, then empty it."""
        with open(self.path.with_suffix(".1.log"), "wb", opener=_private) as copy:
            copy.write(self.path.read_bytes())
        with self.path.open("r+b") as file:
            file.truncate(0)
        self._place = 0


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    with suppress(PermissionError):
        os.chmod(path, 0o600)  # also where it is there already
    return descriptor
