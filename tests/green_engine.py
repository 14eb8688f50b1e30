"""The engine of a gevent worker in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from jobs.celery_app import process_engine
from jobs.worker.group_commit import GroupCommit
from jobs.worker.registration import Registration

WORKER: Final[dict[str, Any]] = {
    "name": "w", "hostname": "h", "pid": 1, "pool": "gevent", "concurrency": 4, "queues": ["celery"], "tasks": [], "versions": {},
}  # fmt: skip


@contextmanager
def group_commit() -> Iterator[GroupCommit]:
    """A registered one with four slots, in use until the block ends."""
    made = GroupCommit(Registration(WORKER), 4)
    process_engine.use(made)
    try:
        yield made
    finally:
        process_engine.use(None)
        made.registration.leave()
        made.close()
