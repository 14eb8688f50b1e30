"""Tasks that use what `self` has."""

import celery
from celery import chain, chord, current_task, group, shared_task
from celery.exceptions import Ignore, Reject
from celery.result import allow_join_result
from celery.utils.log import get_task_logger

from ..notes import note
from .callbacks import callback
from .ends import fail
from .plain import add, xsum

logger = get_task_logger(__name__)


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


@shared_task(bind=True)
def ignores(self, state=None):
    if state:
        self.update_state(state=state, meta={"by": "hand"})
    raise Ignore


@shared_task(bind=True, acks_late=True)
def rejects_once(self):
    note(self.request.id, "ran")
    from ..notes import noted

    if len(noted(self.request.id)) < 2:
        raise Reject("again", requeue=True)
    return "done"


@shared_task(bind=True)
def reports(self, steps):
    from ..notes import noted

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


@shared_task(bind=True)
def calls_itself(self, depth):
    if depth:
        with allow_join_result():
            return 1 + self.apply_async((depth - 1,)).get(timeout=10)
    return 0


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
        "same.tasks.plain.add" in self.app.tasks,
        self.AsyncResult(self.request.id).id == self.request.id,
        self.backend is self.app.backend,
        self.request.task == self.name,
        self.request.is_eager,
    ]


@shared_task(bind=True)
def fails_in_callback(self):
    self.request.callbacks = None
    return 5


@shared_task(bind=True, store_eager_result=False, send_events=False)
def chain_within(self, value):
    chain(add.s(value, 1), callback.s(key=f"within {self.request.id}")).apply_async()
    add.apply_async((1, 1), link=callback.s(key=f"within {self.request.id}"))
    return value
