"""Tasks that are tried again."""

import time
from datetime import UTC, datetime, timedelta

from celery import shared_task
from celery.exceptions import MaxRetriesExceededError
from celery.utils.log import get_task_logger

from ..notes import note
from .ends import OutOfStock

logger = get_task_logger(__name__)


@shared_task(bind=True, max_retries=3)
def retries(self, until, countdown=0.05, **options):
    note(self.request.id, [self.request.retries, list(self.request.args), self.request.delivery_info.get("routing_key")])
    if self.request.retries < until:
        raise self.retry(countdown=countdown, **options)
    return self.request.retries


@shared_task(bind=True, max_retries=2, default_retry_delay=0.05)
def retries_exc(self, with_exc=True):
    try:
        raise OutOfStock("plum", self.request.retries)
    except OutOfStock as error:
        if with_exc:
            raise self.retry(exc=error) from error
        raise self.retry() from None


@shared_task(bind=True, max_retries=1, default_retry_delay=0.05)
def retries_outside(self):
    raise self.retry()


@shared_task(bind=True, default_retry_delay=0.05)
def retries_changed(self, numbers, **kwargs):
    if len(numbers) < 3:
        raise self.retry(args=[[*numbers, len(numbers)]], kwargs={"deep": len(numbers)}, headers={"mine": "kept"})
    return [numbers, kwargs, self.request.retries, getattr(self.request, "mine", None)]


@shared_task(bind=True, default_retry_delay=0.05)
def retries_quietly(self):
    if not self.request.retries:
        planned = self.retry(throw=False)
        note(self.request.id, type(planned).__name__)
    return self.request.retries


@shared_task(bind=True, max_retries=0)
def catches_max(self):
    try:
        self.retry(countdown=0)
    except MaxRetriesExceededError as error:
        return [type(error).__name__, str(error).replace(self.request.id, "ID"), error.task_args, error.task_kwargs]


@shared_task(bind=True, autoretry_for=(ConnectionError,), dont_autoretry_for=(BrokenPipeError,), max_retries=2, default_retry_delay=0.05)
def auto(self, kind):
    note(self.request.id, self.request.retries)
    if kind == "broken":
        raise BrokenPipeError("pipe")
    if kind == "other":
        raise ValueError("other")
    if kind == "always" or self.request.retries < 2:
        raise ConnectionError("away")
    return self.request.retries


@shared_task(bind=True, autoretry_for=(Exception,), retry_kwargs={"max_retries": 1, "countdown": 0.05})
def auto_kwargs(self):
    note(self.request.id, self.request.retries)
    raise KeyError("k")


@shared_task(
    bind=True, autoretry_for=(Exception,), retry_backoff=0.05, retry_jitter=False, retry_backoff_max=1, retry_kwargs={"max_retries": 4}
)
def backs_off(self):
    note(self.request.id, time.time())
    raise KeyError("k")


@shared_task(bind=True, max_retries=None, default_retry_delay=0.02)
def for_ever(self):
    if self.request.retries < 6:
        raise self.retry()
    return self.request.retries


@shared_task(bind=True)
def retries_at(self):
    if not self.request.retries:
        raise self.retry(eta=datetime.now(UTC) + timedelta(seconds=0.3), queue="routed", priority=7, expires=60)
    return [self.request.retries, self.request.delivery_info["routing_key"], self.request.delivery_info["priority"]]
