"""How a worker of the pool prefork ends its children."""

from typing import Any, Final

_ALL_READ: Final = 2**30  # of a C int, which the pool still adds to


def end(pool: Any) -> None:
    """End them all, whatever they do."""
    if pool._pool is None:  # it has ended already
        return
    # A child waits half a minute for its parent to read how its jobs ended. Told to stop, Celery forgets each job that a child has begun
    # without its parent knowing yet, and where it knows of none it reads no more. The rows say how they ended.
    for read in list(pool._pool._on_ready_counters.values()):
        read.get_obj().value = _ALL_READ  # without its lock: a child that was killed may have kept it
    pool.terminate()
