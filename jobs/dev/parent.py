"""Signals that reach `make` alone. GNU make hands SIGTERM on, but after a SIGINT it only waits for its children to end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path


def make_wants_to_stop() -> Callable[[], bool]:
    """A question to ask from time to time; always answered with no where make did not start us."""
    parent = os.getppid() if os.name == "posix" else 0
    if "MAKELEVEL" not in os.environ or not parent:
        return lambda: False
    caught = _catches_interrupt(parent)

    def asked() -> bool:
        # make's own handler sets SIGINT back to its default before it waits; and a make that was killed is no parent any more.
        return os.getppid() != parent or (caught and not _catches_interrupt(parent))

    return asked


def _catches_interrupt(pid: int) -> bool:
    """Whether a process has a handler for SIGINT (known on Linux; elsewhere always yes)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        mask = int(next(line.split()[1] for line in lines if line.startswith("SigCgt:")), 16)
    except (OSError, StopIteration, ValueError):
        return True
    return bool(mask >> (signal.SIGINT - 1) & 1)
