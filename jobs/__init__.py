"""Durable jobs for Django and Celery: PostgreSQL decides, Celery delivers.

The public names are resolved when they are first used (PEP 562), because a project imports
`from jobs import Celery` while its settings are still being read, before any model may be loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.celery_app.app import Celery
    from jobs.celery_app.task import JobTask
    from jobs.domain.errors import PermanentError
    from jobs.enqueueing import enqueue, enqueue_many

__version__ = "0.1.0"
__all__ = ["Celery", "JobTask", "PermanentError", "enqueue", "enqueue_many"]

_HOMES = {
    "Celery": "jobs.celery_app.app",
    "JobTask": "jobs.celery_app.task",
    "PermanentError": "jobs.domain.errors",
    "enqueue": "jobs.enqueueing",
    "enqueue_many": "jobs.enqueueing",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of them

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'jobs' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
