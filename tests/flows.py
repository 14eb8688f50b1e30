"""What tests of canvas and results share."""

from typing import Any

from celery import current_app
from celery.result import AsyncResult

from jobs.models import Job

GET = 30  # seconds a result may take on a busy machine


def task(name: str) -> Any:
    """The registered task of tests.taskapp."""
    return current_app.tasks[f"t.{name}"]


def s(name: str, *args: Any, **kwargs: Any) -> Any:
    """Its signature."""
    return task(name).s(*args, **kwargs)


def si(name: str, *args: Any, **kwargs: Any) -> Any:
    """Its immutable signature."""
    return task(name).si(*args, **kwargs)


def job_of(result: AsyncResult) -> Job:
    """The row behind a result."""
    return Job.objects.get(task_id=result.id)
