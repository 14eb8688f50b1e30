"""What a counted body does: the first one of a process and the last one of all are written down."""

import json
import os
import time
from pathlib import Path

_done = 0
_first = 0.0


def count(total: int) -> None:
    """Called once by each job of a worker process."""
    global _done, _first
    now = time.perf_counter()
    _first = _first or now
    _done += 1
    if _done == total:
        draft = Path(os.environ["GUARD_RESULT"])
        draft.with_suffix(".draft").write_text(json.dumps({"seconds": now - _first, "jobs": total - 1}), "utf-8")
        draft.with_suffix(".draft").replace(draft)


def busy(seconds: float) -> None:
    """Take so much of a processor; the moment of the end is written down, for all processes in one file."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    with Path(os.environ["GUARD_RESULT"]).with_suffix(".ends").open("a", encoding="ascii") as ends:
        ends.write(f"{time.time():.6f}\n")
