"""Tasks as people write them for Celery."""

import builtins
import logging
import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum

import celery
from celery import Task, chain, chord, current_task, group, shared_task
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, SoftTimeLimitExceeded
from celery.result import allow_join_result
from celery.utils.log import get_task_logger

from .celery import app
from .notes import note

logger = get_task_logger(__name__)


class OutOfStock(Exception):
    def __init__(self, item, left=0):
        super().__init__(item, left)
        self.item, self.left = item, left


class Picky(Exception):
    """Cannot be made again from its args."""

    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.code = code


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("held")
        self.generator = (n for n in range(3))


class Colour(Enum):
    RED = "red"


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
def fail(*args, **kwargs):
    raise OutOfStock("pear", 3)


@shared_task
def raises(kind):
    if kind == "picky":
        raise Picky(code=4)
    if kind == "unpicklable":
        raise Unpicklable
    if kind == "cause":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer", 1, {"a": [1]}) from error
    if kind == "exit":
        raise SystemExit(3)
    if kind == "group":
        raise ExceptionGroup("many", [ValueError(1), TypeError("two")])
    if kind == "unicode":
        raise ValueError("خطأ ✗")
    if kind == "empty":
        raise ValueError
    if kind == "local":

        class Local(Exception):
            pass

        raise Local("here")
    if kind == "timeout":
        raise celery.exceptions.TimeoutError("inside")
    raise getattr(builtins, kind)("plain")


@shared_task
def returns(kind):
    return {
        "none": None,
        "tuple": (1, 2, (3,)),
        "intkeys": {1: "a", 2: "b"},
        "datetime": datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        "naive": datetime(2026, 1, 2, 3, 4),
        "date": datetime(2026, 1, 2, tzinfo=UTC).date(),
        "decimal": Decimal("1.10"),
        "uuid": uuid.UUID(int=7),
        "bytes": b"\x00\xff",
        "unicode": "سلام\u2028",
        "float": 0.1,
        "big": 10**30,
        "bool": True,
        "nested": {"a": [{"b": None}]},
        "text": "x" * 100_000,
        "str enum": Colour.RED.value,
    }[kind]


@shared_task
def returns_unencodable(kind):
    return {
        "object": object(),
        "set": {1},
        "delta": timedelta(seconds=3),
        "generator": (n for n in range(3)),
        "exception": ValueError("v"),
        "nan": float("nan"),
    }[kind]


@shared_task
def types_of(**values):
    return {name: type(value).__name__ for name, value in values.items()}


@shared_task(bind=True)
def about(self, *args, **kwargs):
    request = self.request
    names = (
        "id root_id parent_id args kwargs retries is_eager called_directly expires eta group group_index shadow timelimit utc argsrepr"
        " kwargsrepr loglevel task ignore_result replaced_task_nesting stamped_headers stamps correlation_id delivery_info headers chain"
        " callbacks errbacks chord hostname origin lang reply_to logfile meth properties"
    ).split()
    found = {name: getattr(request, name, "missing") for name in names}
    return found | {
        "self": self.name,
        "current": current_task.request.id == request.id,
        "is": request.get("x-mine"),
        "own": getattr(request, "mine", None),
    }


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


@shared_task(throws=(KeyError,))
def expected():
    raise KeyError("expected")


@shared_task(bind=True)
def ignores(self, state=None):
    if state:
        self.update_state(state=state, meta={"by": "hand"})
    raise Ignore


@shared_task(bind=True, acks_late=True)
def rejects_once(self):
    note(self.request.id, "ran")
    from .notes import noted

    if len(noted(self.request.id)) < 2:
        raise Reject("again", requeue=True)
    return "done"


@shared_task(bind=True)
def reports(self, steps):
    from .notes import noted

    for step in range(steps):
        self.update_state(state="PROGRESS", meta={"step": step, "of": steps})
        note(self.request.id, step)
        noted(f"go {self.request.id} {step}")
    return steps


@shared_task(bind=True)
def reports_other(self, task_id):
    self.update_state(task_id=task_id, state="CUSTOM", meta={"from": "other"})
    self.backend.store_result(task_id + "-done", {"v": 1}, "SUCCESS")


@shared_task(bind=True)
def replaces(self, kind, value):
    if kind == "sig":
        raise self.replace(add.s(value, 1))
    if kind == "chain":
        raise self.replace(chain(add.s(value, 1), add.s(10)))
    if kind == "group":
        raise self.replace(group(add.s(value, n) for n in range(3)))
    if kind == "chord":
        raise self.replace(chord([add.s(value, n) for n in range(3)], xsum.s()))
    if kind == "fail":
        raise self.replace(fail.s())
    if kind == "self":
        raise self.replace(self.s("sig", value + 5))
    raise self.replace(group())


@shared_task(bind=True)
def adds_to_chord(self, value):
    self.add_to_chord(add.s(value, 100))
    return value


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


@shared_task(bind=True)
def joins(self, allowed):
    result = add.delay(1, 2)
    if not allowed:
        return result.get(timeout=5)
    with allow_join_result():
        return result.get(timeout=10)


@shared_task(bind=True)
def spawns(self, count):
    results = [add.delay(n, n) for n in range(count)]
    child = group(add.s(1, 1), add.s(2, 2)).apply_async()
    note(self.request.id, [result.id for result in results])
    return [len(results), len(child)]


@shared_task(bind=True, trail=False)
def spawns_untrailed(self):
    add.delay(1, 1)


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


@shared_task(bind=True)
def calls_itself(self, depth):
    if depth:
        with allow_join_result():
            return 1 + self.apply_async((depth - 1,)).get(timeout=10)
    return 0


@shared_task(pydantic=True)
def annotated_types(x: int, when: datetime | None = None) -> str:
    return f"{type(x).__name__} {type(when).__name__}"


@shared_task(acks_late=True, reject_on_worker_lost=True, store_errors_even_if_ignored=True, ignore_result=True)
def late(failing=False):
    if failing:
        raise ValueError("stored")
    return "late"


@shared_task(bind=True)
def events(self):
    self.send_event("task-custom", word="mine")


@shared_task(bind=True)
def signature_again(self, value):
    if value < 3:
        sig = self.signature_from_request(args=(value + 1,), kwargs={})
        with allow_join_result():
            return sig.clone().set(task_id=f"{self.request.id}-{value}").apply_async().get(timeout=10)
    return value


@shared_task
def pid():
    time.sleep(0.2)
    return os.getpid()


@shared_task(bind=True)
def notes_and_sleeps(self, seconds):
    note(self.request.id, "runs")
    time.sleep(seconds)


@shared_task(bind=True)
def finds_others(self):
    """What a task reaches from where it runs."""
    return [
        celery.current_app.main,
        self.app.main,
        celery.current_task.name,
        self.app.current_task.name,
        self.app.current_worker_task.name,
        self.request.id == current_task.request.id,
        "same.tasks.add" in self.app.tasks,
        self.AsyncResult(self.request.id).id == self.request.id,
        self.backend is self.app.backend,
        self.request.task == self.name,
        self.request.is_eager,
    ]


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


@app.task(name="shared.name")
def named():
    return "first"


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


@shared_task(bind=True)
def fails_in_callback(self):
    self.request.callbacks = None
    return 5


@shared_task(bind=True, store_eager_result=False, send_events=False)
def chain_within(self, value):
    chain(add.s(value, 1), callback.s(key=f"within {self.request.id}")).apply_async()
    add.apply_async((1, 1), link=callback.s(key=f"within {self.request.id}"))
    return value


@shared_task
def expects(numbers):
    return [type(numbers).__name__, numbers]
