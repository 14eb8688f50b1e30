"""Tasks with classes of their own."""

import celery
from celery import Task, shared_task
from celery.utils.log import get_task_logger

from ..celery import app
from ..notes import note
from .ends import OutOfStock

logger = get_task_logger(__name__)


class Hooked(Task):
    """Notes every hook."""

    abstract = True
    prepared = 0

    def __init__(self):
        self.made = True

    def __call__(self, *args, **kwargs):
        note(self.request.id, ["call", args, kwargs])
        self.prepared += 1
        return super().__call__(*args, **kwargs)

    def before_start(self, task_id, args, kwargs):
        note(task_id, ["before_start", task_id == self.request.id, args, kwargs])

    def on_success(self, retval, task_id, args, kwargs):
        note(task_id, ["on_success", retval, args, kwargs])

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(task_id, ["on_failure", repr(exc), args, kwargs, type(einfo).__name__, "Traceback" in einfo.traceback])

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note(task_id, ["on_retry", repr(exc), args, kwargs, type(einfo).__name__])

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note(task_id, ["after_return", status, repr(retval)[:40], args, kwargs, type(einfo).__name__])


@app.task(base=Hooked, bind=True, max_retries=1)
def hooked(self, kind, word="w"):
    if kind == "fail":
        raise OutOfStock(kind, 1)
    if kind == "retry" and not self.request.retries:
        raise self.retry(countdown=2, exc=ValueError("later"))
    return [kind, word, self.made]


class Counter(Task):
    """A class with state of its own process."""

    name = "same.Counter"
    ignore_result = False

    def __init__(self):
        self.total = 0

    def run(self, amount, *, twice=False):
        self.total += amount * (2 if twice else 1)
        return [self.total > 0, self.request.id is not None, self.name]


counter = app.register_task(Counter())


class Greets(Task):
    def greet(self, who):
        return f"{self.greeting} {who}"


@app.task(base=Greets, bind=True, greeting="hello")
def greets(self, who):
    return self.greet(who)


class Base(Task):
    abstract = True
    autoretry_for = (ConnectionError,)
    max_retries = 2
    default_retry_delay = 0.05
    retry_backoff = False

    @property
    def client(self):
        if not hasattr(self, "_client"):
            self._client = object()
        return self._client


@app.task(base=Base, bind=True)
def based(self):
    if self.request.retries < 2:
        raise ConnectionError("away")
    return [self.client is self.client, self.request.retries, self.max_retries]


class Timed(celery.Task):
    """Wraps each run, and each call."""

    def __call__(self, *args, **kwargs):
        try:
            return {"value": self.run(*args, **kwargs)}
        except ZeroDivisionError:
            return {"caught": True}

    def apply_async(self, args=None, kwargs=None, **options):
        options.setdefault("headers", {})["by"] = "Timed"
        return super().apply_async(args, kwargs, **options)

    def delay(self, *args, **kwargs):
        return self.apply_async(args, kwargs)


@shared_task(base=Timed, bind=True)
def timed(self, x):
    return [1 / x, self.request.get("by")]


class Report(Task):
    name = "reports.build"
    max_retries = 4
    priority = 2

    def run(self, *rows, title="none"):
        return [len(rows), title, self.request.retries]


app.register_task(Report)
