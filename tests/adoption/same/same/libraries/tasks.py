"""Tasks in the style of the libraries' own documentation."""

import os

import structlog
from celery import current_app, shared_task
from celery.contrib.abortable import AbortableTask
from celery.utils.log import get_task_logger
from celery_once import QueueOnce
from celery_progress.backend import ProgressRecorder
from celery_singleton import Singleton
from django.apps import apps
from django_guid import get_guid
from django_structlog.celery.steps import DjangoStructLogInitStep

from same.notes import note, noted

logger = get_task_logger(__name__)
if apps.is_installed("django_structlog"):
    current_app.steps["worker"].add(DjangoStructLogInitStep)


@shared_task(bind=True)
def with_progress(self, total):
    recorder = ProgressRecorder(self)
    for n in range(total):
        recorder.set_progress(n, total, description=f"step {n}")
        note(self.request.id, n)
        noted(f"go {self.request.id} {n}")
    return total


@shared_task(bind=True, max_retries=2)
def progress_and_retry(self, with_exc):
    if not self.request.retries:
        note(self.request.id, "first")
        raise self.retry(countdown=4, exc=ValueError("later") if with_exc else None)
    return "done"


@shared_task(bind=True, base=Singleton)
def single(self, name):
    note("single", name)
    noted(f"go {name}")
    return name


@shared_task(bind=True, base=Singleton, unique_on=["name"], raise_on_duplicate=True)
def single_strict(self, name, other=None):
    note("single", name)
    noted(f"go {name}")
    if other == "fail":
        raise ValueError(name)
    return name


@shared_task(base=QueueOnce, once={"graceful": False, "keys": ["name"]})
def once(name, other=None):
    note("once", name)
    noted(f"go {name}")
    return name


@shared_task(bind=True, base=QueueOnce, once={"graceful": True, "unlock_before_run": True}, max_retries=1)
def once_graceful(self, name):
    if name.startswith("again") and not self.request.retries:
        raise self.retry(countdown=0.1)
    noted(f"go {name}")
    return name


@shared_task(bind=True, base=AbortableTask)
def abortable(self):
    note(self.request.id, "started")
    for _ in range(200):
        if self.is_aborted():
            noted(f"go {self.request.id}")  # not before its state was looked at
            return "stopped"
        noted("never", timeout=0.05)
    return "never told"


@shared_task(bind=True)
def traced(self, word, fail=False):
    note(self.request.id, getattr(self.request, "traceparent", None) or (self.request.headers or {}).get("traceparent"))
    if word == "retry" and not self.request.retries:
        raise self.retry(countdown=0.1, exc=ValueError("again"))
    if fail:
        raise ValueError(word)
    return word


@shared_task(bind=True, throws=(KeyError,))
def traced_expected(self, word):
    raise KeyError(word)


@shared_task(bind=True)
def traced_parent(self, word):
    traced.delay(word)
    return word


@shared_task(bind=True)
def correlated(self, again=False):
    found = [get_guid(), structlog.contextvars.get_contextvars()]
    note(f"correlated {self.request.root_id}", found)
    if again:
        correlated.delay()
    return found


@shared_task
def ticks(kind):
    note(f"ticks {kind}", kind == os.environ["SAME"])
