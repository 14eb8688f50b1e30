"""What is called after an end."""

from celery import shared_task
from celery.utils.log import get_task_logger

from ..notes import note

logger = get_task_logger(__name__)


@shared_task
def errback_old(task_id):
    note(f"errback {task_id}", "old")


@shared_task
def errback_new(request, exc, traceback):
    note(f"errback {request.id}", ["new", repr(exc), "Traceback" in str(traceback)])


@shared_task
def callback(value, key=None):
    note(key, value)
    return value
