"""Ends the process when not even a thread of the operating system can run: a C call that keeps the interpreter's lock.

The timer of faulthandler needs no lock. It writes the stacks of all threads to stderr and ends the process (exit 1).
"""

import faulthandler
import math
import sys
import time

# After the deadline. The watchdog, which can settle what is held, comes long before; and the timer runs on while the process
# is stopped (SIGSTOP), so this is also how long past its deadlines it may have been stopped and yet go on.
AFTER_S = 60.0
armed = math.inf  # the deadline it is set for
enabled = False


def enable() -> None:
    """In a worker's own process."""
    global enabled
    enabled = sys.__stderr__ is not None


def earlier(ends: float) -> None:
    """A body has started whose deadline may be the next."""
    if enabled and ends < armed:
        arm(ends)


def arm(ends: float) -> None:
    """Set it for this deadline (time.monotonic()); math.inf: for none."""
    global armed
    if not enabled or ends == armed:
        return
    armed = ends
    if ends == math.inf:
        faulthandler.cancel_dump_traceback_later()
    else:
        faulthandler.dump_traceback_later(max(ends + AFTER_S - time.monotonic(), 1.0), exit=True, file=2)
