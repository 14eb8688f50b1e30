"""Tasks by their definition, run here, and as signatures."""

import json

from celery import current_app, signature

from . import tasks
from .running import of, program

T = 60
app = current_app


@program
def late_tasks_and_annotations():
    return [
        tasks.late.apply_async(ignore_result=False).get(T),
        tasks.annotated.delay().get(T),
        tasks.annotated_types.delay("5", "2026-01-01T00:00:00").get(T),
        of(lambda: tasks.annotated_types.delay(3).get(T)),
        tasks.greets.delay("you").get(T),
        tasks.counter.delay(2, twice=True).get(T),
        app.tasks["same.Counter"].apply_async((3,)).get(T),
        tasks.calls_itself.delay(2).get(T),
        tasks.signature_again.delay(0).get(T),
    ]


@program
def eager():
    result, failed = tasks.add.apply((1, 2)), tasks.fail.apply()
    found = [result.get(), result.state, result.successful(), str(failed.result), failed.state, "pear" in failed.traceback, of(failed.get)]
    found += [
        of(tasks.fail.apply, throw=True),
        tasks.retries.apply((2,)).get(),
        of(tasks.retries_exc.apply().get),
        tasks.about.apply().get()["is_eager"],
    ]
    app.conf.task_always_eager = True
    try:
        found += [
            tasks.add.delay(1, 2).get(),
            (tasks.add.s(1, 2) | tasks.mul.s(3)).delay().get(),
            of(tasks.fail.delay().get),
            of(tasks.add.delay, 1),
        ]
        app.conf.task_eager_propagates = True
        found += [of(tasks.fail.delay)]
        tasks.add.store_eager_result = True
        stored = tasks.add.apply((5, 6))
        app.conf.task_always_eager = False
        found += [app.AsyncResult(stored.id).get(T), type(stored).__name__]
    finally:
        app.conf.update(task_always_eager=False, task_eager_propagates=False)
        tasks.add.store_eager_result = False
    return found


@program
def signatures():
    sig = tasks.add.s(1, y=2)
    again = signature(json.loads(json.dumps(sig)))
    made = tasks.add.signature((1,), {"y": 9}, immutable=True, countdown=0)
    return [
        sig,
        again.delay().get(T),
        sig.clone((5,)).args,
        sig.clone(kwargs={"z": 1}).kwargs,
        sig(),
        made.delay().get(T),
        made.options,
        repr(sig),
        sig.name,
        sig.task,
        sig.set(queue="routed", priority=1).options,
        (~tasks.add.s(2, 2)),
        tasks.add.subtask((4, 4)).delay().get(T),
        signature("same.tasks.plain.add", (1, 2)).delay().get(T),
        app.signature("same.tasks.plain.add", args=(3, 3)).apply_async().get(T),
        tasks.add.si(1, 2).immutable,
        sig.freeze("fixed").id,
        sig.id,
        len(tasks.add.s()),
        tasks.add.s(1).apply_async((2,)).get(T),
        tasks.add.s().apply_async((2,), {"y": 3}).get(T),
        tasks.add.s(1, 2).apply().get(),
        sig.type.name,
        app.signature({"task": "same.tasks.plain.mul", "args": [2, 3], "kwargs": {}, "options": {}, "subtask_type": None}).delay().get(T),
    ]


@program
def about_tasks():
    task = tasks.add
    return [
        task.name,
        task.app is app._get_current_object(),
        task.max_retries,
        task.default_retry_delay,
        task.ignore_result,
        task.acks_late,
        task.serializer,
        task.rate_limit,
        task.track_started,
        repr(task)[:30],
        tasks.quiet.name,
        tasks.quiet.ignore_result,
        task.request.called_directly,
        task.request.id,
        "same.tasks.plain.add" in app.tasks,
        task.__name__,
        task.__module__,
        tasks.hooked.max_retries,
        callable(task),
        task.__wrapped__(1, 2),
        tasks.greets.greeting,
        task.AsyncResult("x").id,
        str(task.backend)[:0],
        tasks.late.acks_late,
        task.time_limit,
        task.expires,
        task.priority,
        task.typing,
        task.throws,
        sorted(name for name in app.tasks if not name.startswith(("jobs.", "celery."))),
        sorted(name for name in app.tasks if name.startswith("celery.")),
    ]
