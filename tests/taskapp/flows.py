"""Tasks for canvas, results and what Celery code does inside its tasks."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import celery
from celery import Task, chord, group, shared_task
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.contrib.auth import get_user_model

USERS = get_user_model()


class OutOfStock(Exception):
    """An error of the application's own, with two arguments."""

    def __init__(self, item: str, left: int) -> None:
        super().__init__(item, left)
        self.item, self.left = item, left


@shared_task(name="t.total")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task(name="t.same")
def same(value: Any) -> Any:
    return value


@shared_task(name="t.raises")
def raises(*_: Any) -> None:
    raise OutOfStock("pear", 3)


@shared_task(name="t.note_old")
def note_old(task_id: str) -> None:
    USERS.objects.create(username=f"old {task_id}")


@shared_task(name="t.note_new")
def note_new(request: Any, exc: BaseException, traceback: Any) -> None:
    USERS.objects.create(username=f"new {type(exc).__name__}")


@shared_task(name="t.note_request")
def note_request(request: Any, exc: BaseException, traceback: Any) -> None:
    names = ("retries", "root_id", "correlation_id", "hostname", "delivery_info", "lang", "timelimit", "stamps", "shadow", "x", "args")
    same.apply_async(({name: getattr(request, name) for name in names},), task_id=f"failed {request.id}")


@shared_task(name="t.replaced", bind=True)
def replaced(self: Any, kind: str, value: int) -> Any:
    one = same.si(value)
    if kind == "task":
        return self.replace(one)
    if kind == "chain":
        return self.replace(one | add_one.s() | add_one.s())
    if kind == "group":
        return self.replace(group(same.si(value), same.si(value + 1)))
    return self.replace(chord([same.si(value), same.si(value + 1)], total.s()))


@shared_task(name="t.add_one")
def add_one(value: int) -> int:
    return value + 1


@shared_task(name="t.replaced_by_failure", bind=True)
def replaced_by_failure(self: Any) -> Any:
    return self.replace(raises.si() | add_one.s())


@shared_task(name="t.one_more", bind=True)
def one_more(self: Any, value: int) -> int:
    self.add_to_chord(same.si(value * 100))
    return value


@shared_task(name="t.fails_once", bind=True)
def fails_once(self: Any, value: int) -> int:
    """Fails in its first run; a person runs it again."""
    if not USERS.objects.filter(username=f"again {value}").exists():
        USERS.objects.create(username=f"again {value}")
        raise OutOfStock("plum", value)
    return value


@shared_task(name="t.reports", bind=True)
def reports(self: Any) -> str:
    self.update_state(state="LOADING", meta={"current": 1, "total": 4})
    while not USERS.objects.filter(username="go on").exists():
        time.sleep(0.02)
    return "done"


@shared_task(name="t.gate")
def gate(name: str) -> int:
    """Runs until a user of this name exists."""
    while not USERS.objects.filter(username=name).exists():
        time.sleep(0.02)
    return 0


@shared_task(name="t.sends", bind=True)
def sends(self: Any) -> None:
    same.delay(1)
    same.delay(2)


@shared_task(name="t.silent", ignore_result=True)
def silent() -> int:
    return 5


@shared_task(name="t.ignores", bind=True)
def ignores(self: Any) -> None:
    self.update_state(state="SKIPPED", meta={"why": "nothing to do"})
    raise Ignore


@shared_task(name="t.rejects", bind=True, acks_late=True)
def rejects(self: Any) -> str:
    if not self.request.delivery_info["redelivered"]:
        raise Reject(requeue=True)
    return "second"


@shared_task(name="t.request", bind=True)
def request(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    asked = self.request
    return {
        "id": asked.id, "root_id": asked.root_id, "parent_id": asked.parent_id, "group": asked.group, "retries": asked.retries,
        "args": list(asked.args), "kwargs": asked.kwargs, "headers": asked.headers, "hostname": asked.hostname,
        "delivery_info": asked.delivery_info, "x": getattr(asked, "x", None), "job_id": self.job_id, "timelimit": asked.timelimit,
        "correlation_id": asked.correlation_id, "name": self.name, "stamps": asked.stamps,
    }  # fmt: skip


@shared_task(name="t.again", bind=True, max_retries=3)
def again(self: Any, a: int, b: int = 0) -> Any:
    if self.request.retries == 0:
        raise self.retry(kwargs={"a": 7, "b": 8}, countdown=0.05, priority=8, headers={"x": "second"})
    if self.request.retries == 1:
        raise self.retry(exc=OutOfStock("again", a), args=(9,), countdown=0.05)
    return [a, b, self.request.retries, self.request.delivery_info["priority"], self.request.headers]


@shared_task(name="t.retry_limited", bind=True, max_retries=None)
def retry_limited(self: Any) -> None:
    raise self.retry(exc=OutOfStock("fig", self.request.retries), max_retries=2, countdown=0)


@shared_task(name="t.retry_at", bind=True)
def retry_at(self: Any, seconds: float) -> int:
    """At a time without a zone, which Celery reads as UTC."""
    if not self.request.retries:
        raise self.retry(eta=datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=seconds))
    return int(self.request.retries)


@shared_task(name="t.retry_with_limit", bind=True)
def retry_with_limit(self: Any, seconds: float, **options: Any) -> list[Any]:
    if not self.request.retries:
        raise self.retry(countdown=0, **options)
    time.sleep(seconds)
    return list(self.request.timelimit)


@shared_task(name="t.retry_later", bind=True)
def retry_later(self: Any) -> None:
    raise self.retry(countdown=3600)


@shared_task(name="t.autoretried", autoretry_for=(OutOfStock,), dont_autoretry_for=(KeyError,), retry_backoff=0.01, max_retries=2)
def autoretried(kind: str) -> None:
    raise OutOfStock("nut", 1) if kind == "stock" else KeyError(kind)


@shared_task(name="t.slow_soft", soft_time_limit=0.3)
def slow_soft() -> str:
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "tidied up"
    return "never"


@shared_task(name="t.slow_hard", time_limit=0.4)
def slow_hard() -> None:
    time.sleep(30)


@shared_task(name="t.limited", time_limit=60)
def limited(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)


class PlainBase(celery.Task):
    """A base that knows nothing of this project."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        USERS.objects.create(username=f"success {retval}")

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        USERS.objects.create(username=f"failure {type(exc).__name__}")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        USERS.objects.create(username=f"returned {status}")


class CallingBase(Task):
    """A base whose __call__ runs the body itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return ["called", self.run(*args, **kwargs)]


class StartingBase(Task):
    """A base with a before_start that may fail."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        if args:
            raise OutOfStock("start", 0)


class BackendBase(celery.Task):
    """A base with a result backend of its own."""

    @property
    def backend(self) -> Any:
        return DisabledBackend(self.app)


@shared_task(name="t.backend_base", base=BackendBase)
def backend_base(fails: bool = False) -> str:
    if fails:
        raise OutOfStock("backend", 0)
    return "fine"


@shared_task(name="t.plain_base", base=PlainBase)
def plain_base(fails: bool = False) -> str:
    if fails:
        raise OutOfStock("base", 0)
    return "fine"


@shared_task(name="t.calling_base", base=CallingBase)
def calling_base(value: int) -> int:
    return value


@shared_task(name="t.starting_base", base=StartingBase)
def starting_base(*_: int) -> str:
    return "started"


@shared_task(name="t.rated", rate_limit="5/s")
def rated(value: int) -> int:
    return value


_bodies = 0


@shared_task(name="t.counted")
def counted(most: int = 0, seconds: float = 0.0) -> int:
    """The most bodies of this task that its process ran at once, as far as a link of its chain has seen it."""
    global _bodies
    _bodies += 1
    most = max(most, _bodies)
    time.sleep(seconds)
    _bodies -= 1
    return most


@shared_task(name="t.slow_one")
def slow_one(value: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return value + 1
