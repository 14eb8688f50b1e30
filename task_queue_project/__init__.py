"""The Django project. Celery's app is made as soon as the project is imported, so that @shared_task finds it."""

from task_queue_project import checks  # noqa: F401 - registers itself
from task_queue_project.celery import app as celery_app

__all__ = ["celery_app"]
