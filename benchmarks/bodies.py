"""What a counted body does: the first one of a process and the last one of all are written down."""

import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2

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


def commit() -> None:
    """One row of this process changed, in a transaction of its own, over a connection that stays."""
    _cursor().execute("EXECUTE change (%s)", (os.getpid() % 8 + 1,))


@cache
def _cursor() -> Any:
    session = psycopg2.connect(os.environ["DATABASE_URL"])
    session.autocommit = True
    cursor = session.cursor()
    cursor.execute("PREPARE change AS UPDATE bound SET n = n + 1 WHERE id = $1")
    return cursor
