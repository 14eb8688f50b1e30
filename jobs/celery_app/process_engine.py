"""The engine of this process: the worker sets it when it starts, a child of its pool makes its own."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from jobs.store.engine import Engine
from jobs.store.transitions import Run

_engine: list[Engine] = []
_make: list[Callable[[], Engine]] = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_engine.clear)  # a child makes its own


def attach(make: Callable[[], Engine]) -> None:
    """How a child of this worker makes an engine of its own."""
    _make[:] = [make]


def use(engine: Engine | None) -> None:
    """Set the engine of this process; a worker does so when it starts."""
    _engine[:] = [] if engine is None else [engine]


def current() -> Engine:
    """The engine of this process; under prefork each child makes its own at its first job."""
    if not _engine:
        use(_make[0]())
    return _engine[0]


def claim(headers: Mapping[str, Any]) -> Run | None:
    """The run that a message of ours was made for, if it owns its job now; else None."""
    engine = current()
    run = Run(id=headers["job_id"], runs=headers["runs"], worker=engine.worker_id)
    return run if engine.claim(run, headers["id"], headers["job_queue"], headers["job_priority"]) else None


def is_green() -> bool:
    """Whether tasks of this process run in greenlets."""
    return bool(_engine) and _engine[0].green


def is_alone() -> bool:
    """Whether tasks run in threads of the worker itself (threads, solo): no part of Celery ends one of them."""
    return bool(_engine) and _engine[0].alone
