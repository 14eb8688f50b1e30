"""Tasks that take values and return some."""

import logging
import os
import time
from datetime import datetime

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from ..celery import app
from ..notes import note

logger = get_task_logger(__name__)


@shared_task
def add(x, y):
    return x + y


@shared_task
def mul(x, y):
    return x * y


@shared_task
def xsum(numbers):
    return sum(numbers)


@shared_task
def tsum(*numbers):
    return sum(numbers)


@shared_task
def echo(*args, **kwargs):
    return {"args": args, "kwargs": kwargs}


@shared_task
def same(value):
    return value


@shared_task
def nothing(*_):
    return None


@app.task(name="renamed", ignore_result=True)
def quiet(value):
    note("quiet", value)
    return value


@app.task(typing=False)
def untyped(x):
    return x


@shared_task
def types_of(**values):
    return {name: type(value).__name__ for name, value in values.items()}


@shared_task
def logs(word):
    logger.info("task says %s", word)
    logging.getLogger("same.elsewhere").warning("module says %s", word)
    print("printed", word)


@shared_task
def sleeps(seconds):
    time.sleep(seconds)
    return seconds


@shared_task(soft_time_limit=1, bind=True)
def soft(self):
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        return "tidied"


@shared_task(bind=True)
def routed(self):
    return self.request.delivery_info["routing_key"]


@shared_task
def annotated():
    return annotated.max_retries


@shared_task(rate_limit="20/s")
def limited(n):
    note("limited", time.time())
    return n


@shared_task(pydantic=True)
def annotated_types(x: int, when: datetime | None = None) -> str:
    return f"{type(x).__name__} {type(when).__name__}"


@shared_task(acks_late=True, reject_on_worker_lost=True, store_errors_even_if_ignored=True, ignore_result=True)
def late(failing=False):
    if failing:
        raise ValueError("stored")
    return "late"


@shared_task
def pid():
    time.sleep(0.2)
    return os.getpid()


@shared_task(bind=True)
def notes_and_sleeps(self, seconds):
    note(self.request.id, "runs")
    time.sleep(seconds)


@app.task(name="shared.name")
def named():
    return "first"


@shared_task
def expects(numbers):
    return [type(numbers).__name__, numbers]
