"""Ends a worker whose watchdog is silent past a deadline, or past its grace: from the process beside it, which no lock keeps."""

import logging
import math
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from jobs.celery_app.deadline_board import Board
from jobs.worker import ending

logger = logging.getLogger("jobs.worker")
EACH_S = 0.5
GAP_S = 2.0  # between two looks: this process was stopped, or the machine slept
STOPS = frozenset({signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGTERM)})
LATE_S = 3.5  # after the grace the watchdog acts
MUTE_S = 1.5  # it writes four times a second
# The watchdog acts 2 s after the deadline, and takes up to 2 s more after a stop and 3 s for its last words.
SILENT_S = 8.0
WORDS_S = 0.5  # for the log
STACKS_S = 0.5  # to write them, before the process is gone
ENDS_S = 3.0  # for each way to end it, before the next


class State(NamedTuple):
    """Of a process."""

    parent: int
    stopped: bool  # by a signal or a debugger
    ended: bool


class Sentry:
    """Looks twice a second at the board of its parent."""

    def __init__(self, board: Board, worker: int, handles: ending.Handles = ending.NONE, grace: float = math.inf) -> None:
        self.board = board
        self.worker = worker
        self.handles = handles
        self.grace = grace  # seconds that running jobs get
        self.told = math.inf  # when the worker was told to stop
        self.silent: dict[int, float] = {}  # since when each process runs past its deadline
        self.looked = self.heard = time.monotonic()  # heard: when the worker was known to run some Python

    def run(self) -> None:
        """As long as the worker lives."""
        while os.getppid() == self.worker:
            time.sleep(EACH_S)
            for pid in self.look(time.monotonic()):
                self._end(pid)

    def look(self, now: float) -> list[int]:
        """The processes to end: their deadline is long over, and they were not stopped since."""
        if now - self.looked > GAP_S:
            self.silent.clear()
            self.heard = now
        self.looked = now
        passed = {pid for pid in self.board.passed(now) if self._runs(pid)}
        self.silent = {pid: self.silent.get(pid, now) for pid in passed}
        return [pid for pid, since in self.silent.items() if now - since > SILENT_S] or self._late(now)

    def _late(self, now: float) -> list[int]:
        """The worker, when its grace is over and it is mute, so that it does not even know that it was told to stop."""
        if self.told == math.inf and any(number in STOPS for number in self.handles.signals()):
            self.told = now
        wrote = self.board.wrote(self.worker)
        if wrote is None or now - wrote < MUTE_S or not self._runs(self.worker):
            self.heard = now
        return [self.worker] if now > self.told + self.grace + LATE_S and now - self.heard > MUTE_S else []

    def _runs(self, pid: int) -> bool:
        """A number may by now be that of somebody else's process."""
        found = state(pid)
        return found is not None and not found.stopped and not found.ended and self.worker in (pid, found.parent)

    def _end(self, pid: int) -> None:
        what = "its deadline" if pid in self.silent else "the grace of its stop"
        text = "process %s is past %s and does not answer: a call keeps the interpreter's lock; it is ended"
        saying = threading.Thread(target=logger.critical, args=(text, pid, what), daemon=True)
        saying.start()
        saying.join(WORDS_S)  # what is written may wait for somebody who takes it, and the worker for the same
        for way in (self._ask, self._abort, self._kill):
            if way(pid) and self._gone(pid, ENDS_S):
                break
        self.silent.pop(pid, None)

    def _ask(self, pid: int) -> bool:
        """A worker: it writes its stacks and ends with its own exit code, which a supervisor knows."""
        if pid != self.worker or self.handles.end is None:
            return False
        ending.stacks(pid)
        return self._gone(pid, STACKS_S) or ending.end(self.handles.end)

    def _abort(self, pid: int) -> bool:
        """Anything else: faulthandler writes the stacks."""
        return _signal(pid, signal.SIGABRT)

    def _kill(self, pid: int) -> bool:
        return _signal(pid, signal.SIGKILL)

    def _gone(self, pid: int, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (runs := self._runs(pid)) and time.monotonic() < end:
            time.sleep(0.05)
        return not runs


def _signal(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    return True


def state(pid: int) -> State | None:
    """None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            letter, parent = file.read().rpartition(")")[2].split()[:2]
    except FileNotFoundError:
        if os.path.exists("/proc/self/stat"):
            return None
        shown = subprocess.run(["ps", "-o", "stat=,ppid=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.split()
        if len(shown) != 2:
            return None
        letter, parent = shown
    except ProcessLookupError:
        return None
    return State(int(parent), letter[0] in "Tt", letter[0] in "ZX")
