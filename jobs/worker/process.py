"""The engine of this very process: a forked child makes its own."""

import os
from typing import Any

from jobs.worker.registration import Registration


def is_own(engine: Any) -> bool:
    """Whether the engine was made in this process, not inherited by a fork."""
    return bool(engine.pid == os.getpid())


def child_engine(parent: Any | None) -> Any:
    """The engine of a prefork child, registered under its parent."""
    from jobs.worker.plain_engine import PlainEngine

    if parent is None:
        raise RuntimeError("a job's message reached a process that is no worker")
    described = parent.registration.description
    return PlainEngine(Registration(described | {"pid": os.getpid(), "concurrency": 1, "parent": parent.worker_id}))
