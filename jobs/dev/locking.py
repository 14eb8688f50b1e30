"""One holder at a time of a lock file; the system frees it when its process ends, however it ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def held(path: Path, *, wait: float) -> Iterator[None]:
    """Hold the lock file at `path`; raise Busy when it is not free within `wait` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    while (descriptor := _taken(path)) is None:
        if time.monotonic() >= deadline:
            raise Busy(str(path))
        time.sleep(0.05)
    try:
        yield
    finally:
        if os.name == "posix":
            path.unlink(missing_ok=True)  # while it is held: whoever opened it meanwhile sees that it is gone and tries again
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    if not path.exists():
        return False
    try:
        with held(path, wait=0):
            return False
    except Busy:
        return True


def _taken(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        if os.name != "posix" or os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except OSError:
        pass  # held by another, or removed by its last holder
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> None:
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
