"""Ends the process when not even a thread of the operating system can run: a C call that keeps the interpreter's lock.

The deadline stands on a board that the process beside the worker reads (`jobs.worker.sentry`). Where there is no such process,
the timer of faulthandler, which needs no lock, writes the stacks of all threads to stderr and ends the process (exit 1).
"""

import faulthandler
import math
import sys
import time

from billiard import current_process

from jobs.celery_app.deadline_board import Board

# After the deadline. The watchdog, which can settle what is held, comes long before, and so does the sentry. The timer runs on
# while the process is stopped (SIGSTOP), so this is also how long past its deadlines it may have been stopped and yet go on.
AFTER_S = 60.0
armed = math.inf  # the deadline it is set for
board: Board | None = None
_enabled = False
_place = 0  # on the board


def enable() -> None:
    """In a worker's own process, and in each child that it forks. On SIGABRT, too, the stacks are written."""
    global _enabled, _place, armed
    _enabled, armed = sys.__stderr__ is not None, math.inf
    _place = getattr(current_process(), "index", -1) + 1
    if _enabled:
        faulthandler.enable(file=2)


def earlier(ends: float) -> None:
    """A body has started whose deadline may be the next."""
    if _enabled and ends < armed:
        arm(ends)


def arm(ends: float) -> None:
    """Set it for this deadline (time.monotonic()); math.inf: for none. Each call says that this process lives."""
    global armed
    if board is not None and _enabled:
        board.write(_place, ends, time.monotonic())
    if not _enabled or ends == armed:
        return
    armed = ends
    if ends == math.inf:
        faulthandler.cancel_dump_traceback_later()
    else:
        faulthandler.dump_traceback_later(max(ends + AFTER_S - time.monotonic(), 1.0), exit=True, file=2)
