"""Tasks as they stand in tutorials, answers and blogs."""

import asyncio
import traceback
from dataclasses import asdict, dataclass

from celery import Task, chain, chord, current_app, current_task, group, shared_task, states
from celery.contrib.abortable import AbortableTask
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from celery.result import allow_join_result
from django.contrib.auth import get_user_model
from django.db import transaction
from pydantic import BaseModel

from ..notes import note, noted

app = current_app


@shared_task
def add(x, y):
    return x + y


@shared_task
def xsum(numbers):
    return sum(numbers)


@shared_task
def boom(*args, **kwargs):
    raise ValueError("boom", 7)


@shared_task(bind=True)
def where(self, **kwargs):
    info = self.request.delivery_info
    return [info["routing_key"], info["priority"], self.request.timelimit, getattr(self, "everywhere", None)]


@shared_task(bind=True)
def to_the_queue(self):
    return where.run.__func__(self) if hasattr(where.run, "__func__") else self.request.delivery_info["routing_key"]


@shared_task(bind=True)
def video_cut(self):
    return [self.request.delivery_info["routing_key"], self.request.delivery_info["priority"]]


@shared_task(bind=True)
def by_text(self):
    return self.request.delivery_info["routing_key"]


@shared_task(bind=True)
def annotated(self):
    return [self.tag, self.rate_limit, self.everywhere, self.priority]


# errors that are told


@shared_task
def on_error(request, exc, traceback, key=None):
    note(f"error {key or request.id}", [type(exc).__name__, str(exc), "Traceback" in str(traceback)])


@shared_task(bind=True)
def on_error_bound(self, request, exc, traceback):
    note(f"error {request.id}", ["bound", self.name, repr(exc)])


@shared_task
def on_error_old(task_id, key=None):
    note(f"error {key or task_id}", ["old", task_id == (key or task_id)])


@shared_task
def on_error_fixed(word, key=None):
    note(f"error {key}", ["fixed", word])


@shared_task
def on_error_breaks(request, exc, traceback):
    note(f"error {request.id}", "breaks")
    raise RuntimeError("the errback itself")


# states by hand


@shared_task(bind=True)
def fails_by_hand(self, how):
    try:
        raise KeyError("lost")
    except KeyError as error:
        meta = {"exc_type": type(error).__name__, "exc_message": traceback.format_exc().split("\n")[-2:], "custom": "more"}
        if how == "bare":
            meta = {"custom": "more"}
        self.update_state(state=states.FAILURE, meta=meta)
        raise Ignore from None


@shared_task(bind=True)
def succeeds_by_hand(self):
    self.update_state(state=states.SUCCESS, meta={"early": True})
    noted(f"go {self.request.id}")
    return "late"


@shared_task(bind=True)
def counts(self, total):
    for n in range(total):
        self.update_state(state="PROGRESS", meta={"current": n, "total": total, "status": f"at {n}"})
    return {"current": total, "total": total, "status": "done", "result": 42}


# retries as people write them


@shared_task(bind=True, max_retries=3, default_retry_delay=0.05)
def retries_in_except(self, fails):
    try:
        if self.request.retries < fails:
            raise ConnectionError("away")
        return self.request.retries
    except ConnectionError as exc:
        self.retry(exc=exc)


@shared_task(bind=True, max_retries=2)
def retries_by_formula(self):
    note(self.request.id, self.request.retries)
    try:
        return 1 / (self.request.retries - self.request.retries)
    except ZeroDivisionError as exc:
        raise self.retry(exc=exc, countdown=min(0.01 * 2**self.request.retries, 5))  # noqa: B904 - as people write it


@shared_task(bind=True)
def retries_until_told(self):
    try:
        raise ConnectionError("away")
    except ConnectionError as exc:
        try:
            raise self.retry(countdown=0.02, max_retries=2)
        except self.MaxRetriesExceededError:
            return ["gave up", self.request.retries, str(exc)]


@shared_task(bind=True, max_retries=1, default_retry_delay=0.05)
def retries_after_a_soft_limit(self):
    try:
        import time

        time.sleep(20 if not self.request.retries else 0)
    except SoftTimeLimitExceeded as exc:
        raise self.retry(exc=exc)  # noqa: B904 - as people write it
    return self.request.retries


@shared_task(bind=True, max_retries=2, default_retry_delay=0.05)
def flaky(self, value, fails=1):
    if self.request.retries < fails:
        raise self.retry(exc=ConnectionError(f"away {value}"))
    return value


@shared_task(autoretry_for=(ConnectionError,), retry_kwargs={"max_retries": 2, "countdown": 0.02})
def flaky_auto(value, fails=1):
    if current_task.request.retries < fails:
        raise ConnectionError(f"away {value}")
    return value


@shared_task(bind=True, max_retries=2, default_retry_delay=0.05)
def asks_again(self):
    """Called as a function inside another task, it cannot be retried."""
    raise self.retry()


@shared_task(bind=True)
def calls_another_as_a_function(self):
    try:
        return asks_again()
    except Retry as error:
        return ["Retry", str(error)]


@shared_task(bind=True)
def retries_within_a_transaction(self):
    with transaction.atomic():
        get_user_model().objects.create(username=f"{self.request.id} {self.request.retries}")
        if not self.request.retries:
            raise self.retry(countdown=0.02)
    return get_user_model().objects.filter(username__startswith=self.request.id).count()


# hooks that end a task before it starts


class Gate(Task):
    abstract = True

    def before_start(self, task_id, args, kwargs):
        note(task_id, ["asked", self.request.retries])
        how = kwargs.get("how")
        if how == "ignore":
            raise Ignore
        if how == "reject":
            raise Reject("no", requeue=False)
        if how == "retry" and not self.request.retries:
            raise self.retry(countdown=0.05)
        if how == "fail":
            raise PermissionError("closed")


@shared_task(base=Gate, bind=True)
def behind_a_gate(self, how=None):
    note(self.request.id, "ran")
    return self.request.retries


class Hooks(Task):
    abstract = True

    def on_success(self, retval, task_id, args, kwargs):
        note(task_id, "on_success")
        if kwargs.get("hook") == "success":
            raise RuntimeError("in on_success")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(task_id, "on_failure")
        if kwargs.get("hook") == "failure":
            raise RuntimeError("in on_failure")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note(task_id, f"after_return {status}")
        if kwargs.get("hook") == "after":
            raise RuntimeError("in after_return")


@shared_task(base=Hooks)
def hooks_that_break(fails=False, hook=None):
    if fails:
        raise ValueError("own")
    return "fine"


class Connected(Task):
    """A base with a lazy resource of its own, as Celery's guide has it."""

    _connection = None
    ignore_result = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cache = {"made": 1}

    @property
    def connection(self):
        if self._connection is None:
            self._connection = {"opened": True}
        return self._connection


@shared_task(base=Connected, bind=True, name="habits.connected")
def connected(self, key):
    self.cache[key] = self.connection["opened"]
    return [self.cache[key], self.cache["made"], self.connection is self.connection]


class Pipeline(Task):
    """A class-based task with a run of its own."""

    name = "habits.Pipeline"

    def __init__(self):
        self.steps = ["a", "b"]

    def run(self, source, *, limit=10):
        return [source, limit, self.steps, self.request.id is not None]


pipeline = app.register_task(Pipeline())


# workflows inside tasks


@shared_task(bind=True)
def fans_out(self, count):
    raise self.replace(group(add.s(n, n) for n in range(count)))


@shared_task(bind=True)
def fans_out_and_joins(self, count):
    return self.replace(chord((add.s(n, n) for n in range(count)), xsum.s()))


@shared_task(bind=True)
def replaced_after_a_retry(self, value):
    if not self.request.retries:
        raise self.retry(countdown=0.02)
    raise self.replace(add.s(value, self.request.retries))


@shared_task(bind=True)
def replaced_twice(self, depth):
    if depth:
        raise self.replace(replaced_twice.s(depth - 1))
    return self.request.replaced_task_nesting


@shared_task(bind=True)
def grows_the_chord(self, value):
    return self.add_to_chord(flaky.s(value * 10)) and value


@shared_task(bind=True)
def starts_a_workflow(self):
    result = (group(add.s(1, 1), add.s(2, 2)) | xsum.s()).apply_async()
    with allow_join_result():
        return result.get(timeout=20)


@shared_task(bind=True)
def starts_a_chain_and_fails(self):
    chain(add.s(1, 1), note_value.s(key=f"started {self.request.id}")).delay()
    raise ValueError("after it was sent")


@shared_task
def note_value(value, key):
    note(key, value)
    return value


# values


class Order(BaseModel):
    number: int
    lines: list[str] = []


class Receipt(BaseModel):
    number: int
    total: float


@shared_task(pydantic=True)
def pays(order: Order, rate: float = 1.5) -> Receipt:
    return Receipt(number=order.number, total=len(order.lines) * rate)


@shared_task(bind=True, pydantic=True, pydantic_dump_kwargs={"by_alias": True})
def pays_bound(self, order: Order | None = None) -> dict:
    return {"type": type(order).__name__, "task": self.name}


@dataclass
class Point:
    x: int


@shared_task
def takes_a_point(point):
    return Point(**point).x


@shared_task
def dumps_a_point():
    return asdict(Point(3))


@shared_task
async def coroutine():
    return 1


@shared_task
def runs_a_coroutine(n):
    async def double():
        await asyncio.sleep(0.01)
        return n * 2

    return asyncio.run(double())


@shared_task(bind=True)
def seen(self):
    request = self.request
    stamps = {name: request.stamps.get(name) for name in request.stamped_headers or []}
    return [request.get("tenant"), {k: v for k, v in (request.headers or {}).items() if k == "tenant"}, stamps, request.shadow]


@shared_task(bind=True, base=AbortableTask)
def stops_when_asked(self):
    import time

    note(self.request.id, "runs")
    for n in range(400):
        if self.is_aborted():
            return ["aborted at", n < 400]
        time.sleep(0.02)
    return "never"


@shared_task(ignore_result=True)
def unread(n):
    note(f"unread {n}", n)
    return n


@shared_task(bind=True, ignore_result=True)
def place(self):
    note(f"place {self.request.root_id}", [self.request.group is not None, self.request.group_index])
    return 1


@shared_task
def makes_user(name):
    get_user_model().objects.create(username=name)


@shared_task
def user_is_there(name):
    return get_user_model().objects.filter(username=name).exists()


@shared_task
def exits(how):
    if how == "exit":
        raise SystemExit("bye")
    raise KeyboardInterrupt
