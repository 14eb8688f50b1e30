"""Imported by a prefork worker (`-I`) whose children's news come late: it is told to stop before it has read that one job has begun."""

from typing import Any

from celery import signals
from celery.concurrency.asynpool import AsynPool

_flush = AsynPool.flush


def _flush_first(pool: Any) -> None:
    next(iter(pool._cache.values()))._accepted = False
    _flush(pool)
    print(f"flushed, {len(pool._cache)} known", flush=True)


AsynPool.flush = _flush_first


@signals.worker_process_shutdown.connect
def _say(exitcode: int, **_: Any) -> None:
    print(f"a child ends: {exitcode}.", flush=True)
