"""Tasks that behave in the ways jobs can behave."""

import os
import time
from typing import Any

from celery import shared_task
from django.contrib.auth import get_user_model
from django.db import transaction

from jobs import PermanentError


@shared_task(name="t.add")
def add(x: int, y: int) -> int:
    return x + y


@shared_task(name="t.nap")
def nap(seconds: float) -> None:
    time.sleep(seconds)


@shared_task(name="t.permanent")
def permanent() -> None:
    raise PermanentError("no such customer")


@shared_task(name="t.unjsonable")
def unjsonable() -> Any:
    return object()


@shared_task(name="t.retry_inside", bind=True, max_retries=2)
def retry_inside(self: Any) -> int:
    with transaction.atomic():
        get_user_model().objects.create(username=f"run-{self.request.retries}")
        self.progress(0.5, "half")
        if self.request.retries < 2:
            raise self.retry(countdown=0.1)
    return int(self.request.retries)


@shared_task(name="t.fails_inside")
def fails_inside() -> None:
    with transaction.atomic():
        get_user_model().objects.create(username="never")
        raise ValueError("inside")


@shared_task(name="t.kill_worker")
def kill_worker() -> None:
    os._exit(9)
