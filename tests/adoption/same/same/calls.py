"""How tasks are called."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from celery import current_app, signals, signature
from kombu import Queue

from . import tasks
from .notes import noted
from .running import of, program, told

T = 60
app = current_app


@program
def plain_calls():
    return [
        tasks.add.delay(1, 2).get(T),
        tasks.add.delay(x=1, y=3).get(T),
        tasks.add.apply_async((1,), {"y": 4}).get(T),
        tasks.add.apply_async([1, 5]).get(T),
        tasks.add.apply_async(kwargs={"x": 1, "y": 6}).get(T),
        tasks.add(1, 7),
        tasks.add.run(1, 8),
        tasks.nothing.delay().get(T),
        tasks.echo.delay(1, "a", k=[1], z={"b": None}).get(T),
        app.tasks["same.more_tasks.found"].delay().get(T),
    ]


@program
def wrong_arguments():
    return [
        of(tasks.add.delay, 1),
        of(tasks.add.delay, 1, 2, 3),
        of(tasks.add.delay, x=1, z=2),
        of(tasks.add.apply_async, "ab"),
        of(tasks.add.apply_async, 5),
        of(tasks.add.apply_async, (1, 2), [3]),
        of(lambda: tasks.untyped.delay(1, 2).get(T)),
        of(lambda: tasks.untyped.delay().get(T)),
        of(app.send_task, "same.tasks.add", "ab"),
        of(lambda: app.send_task("same.tasks.add", (1,)).get(T)),
        [error["class"] + [str(error["text"])] for error in (of(tasks.add.delay, object(), 1), of(tasks.add.delay, {1}, 1))],
        of(tasks.add.apply_async, (1, 2), serializer="nope"),
        of(tasks.add.apply_async, (1, 2), countdown="x"),
        of(tasks.add.apply_async, (1, 2), expires="x"),
        of(tasks.add.apply_async, (1, 2), queue="") and "sent",
    ]


@program
def types_of_arguments():
    return tasks.types_of.delay(
        a=datetime(2026, 1, 1, tzinfo=UTC),
        b=Decimal("1.5"),
        c=uuid.UUID(int=1),
        d=(1, 2),
        e=b"raw",
        f=datetime(2026, 1, 1, tzinfo=UTC).date(),
        g=1.0,
        h=None,
        i=True,
        j="é\u2028",
        k={"1": 1},
        l=10**25,
        m=datetime(2026, 1, 1),
        n=range(3) and [1],
        o=timedelta(1).total_seconds(),
    ).get(T)


@program
def options_of_a_call():
    sent = [
        tasks.add.apply_async((1, 1), task_id="my-own-id", shadow="shadowed", headers={"x-mine": "1"}),
        tasks.add.apply_async((1, 2), countdown=0.1),
        tasks.add.apply_async((1, 3), eta=datetime.now(UTC) + timedelta(seconds=0.2)),
        tasks.add.apply_async((1, 4), eta=datetime.now(UTC) - timedelta(days=1)),
        tasks.add.apply_async((1, 5), expires=60),
        tasks.add.apply_async((1, 6), expires=datetime.now(UTC) + timedelta(seconds=60)),
        tasks.add.apply_async((1, 7), priority=3, retry=False),
        tasks.add.apply_async((1, 8), retry=True, retry_policy={"max_retries": 1, "interval_start": 0}),
        tasks.add.apply_async((1, 9), queue="routed"),
        tasks.add.apply_async((1, 10), queue=Queue("routed")),
        tasks.add.apply_async((1, 11), compression="gzip", serializer="json"),
        tasks.add.apply_async((1, 12), time_limit=30, soft_time_limit=20),
        tasks.add.apply_async((1, 13), ignore_result=False, delivery_mode=1),
        tasks.add.apply_async((1, 14), routing_key="routed", exchange=""),
        tasks.add.apply_async((1, 15), argsrepr="<hidden>", kwargsrepr="<hidden>"),
        tasks.add.apply_async((1, 16), reply_to="someone", correlation_id="c"),
        tasks.add.apply_async((1, 17), group_id="g", parent_id="p", root_id="r"),
        tasks.add.apply_async((1, 18), add_to_parent=False, publisher=None),
    ]
    return [[result.id, result.get(T), result.state] for result in sent]


@program
def connections_of_the_caller():
    found = []
    with app.connection_or_acquire() as connection:
        found.append(tasks.add.apply_async((1, 1), connection=connection).get(T))
    with app.connection_for_write() as connection:
        found.append(tasks.add.apply_async((1, 2), connection=connection).get(T))
    with app.producer_pool.acquire(block=True) as producer:
        found += [result.get(T) for result in [tasks.add.apply_async((n, 3), producer=producer) for n in range(3)]]
    with app.amqp.producer_pool.acquire(block=True) as producer:
        found.append(app.send_task("same.tasks.add", (1, 4), producer=producer).get(T))
    with app.producer_or_acquire() as producer:
        found += (
            [result.get(T) for result in [tasks.add.apply_async((n, 5), producer=producer) for n in range(3)]] if app.main == "" else []
        )
    with app.pool.acquire(block=True) as connection, connection.Producer() as producer:
        found.append(tasks.add.apply_async((1, 6), producer=producer).get(T))
    return found


@program
def a_task_sees_its_request():
    seen = tasks.about.apply_async(
        (1, "a"), {"k": 2}, headers={"x-mine": "yes", "mine": 5}, shadow="other", time_limit=40, soft_time_limit=30, priority=4
    )
    found = seen.get(T)
    later = tasks.about.apply_async(countdown=0.1, expires=50, argsrepr="A", kwargsrepr="K", ignore_result=False).get(T)
    for each in (found, later):
        each["hostname"], each["origin"] = "@" in (each["hostname"] or ""), "@" in (each["origin"] or "")
        del each["reply_to"]  # that of a result backend which is told by messages
        each["properties"] = type(each["properties"]).__name__
        each["expires"], each["eta"] = [type(each["expires"]).__name__, type(each["eta"]).__name__]
        each["delivery_info"] = sorted(each["delivery_info"])
        each["headers"] = {key: value for key, value in (each["headers"] or {}).items() if key in ("x-mine", "mine")}
    return [found, later, found["id"] == seen.id]


@program
def a_task_in_a_chain_sees_its_request():
    chain = tasks.about.s(1) | tasks.nothing.s() | tasks.about.si(2)
    result = chain.apply_async()
    last = result.get(T)
    first = result.parent.parent.get(T)
    names = ("root_id", "parent_id", "group", "chain", "callbacks", "retries")
    ids = {result.id: "third", result.parent.id: "second", result.parent.parent.id: "first"}
    return [[ids.get(str(each[name]), type(each[name] or None).__name__) for name in names] for each in (first, last)]


@program
def send_task():
    return [
        app.send_task("same.tasks.add", (2, 2)).get(T),
        app.send_task("same.tasks.add", kwargs={"x": 2, "y": 3}, queue="routed").get(T),
        app.send_task("same.tasks.add", [2, 4], task_id="by-name", headers={"a": "b"}).get(T),
        app.send_task("same.tasks.nobody", (1,)).state,
        app.send_task("same.tasks.routed").get(T),
        tasks.routed.delay().get(T),
        tasks.routed.apply_async(queue="celery").get(T),
        app.send_task("same.tasks.add", (2, 5), link=tasks.mul.s(2)).get(T),
    ]


@program
def expired_and_unread():
    late = tasks.add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(seconds=5))
    error = of(late.get, T)
    behind = tasks.add.apply_async((1, 1), countdown=3, expires=1)
    quiet = [tasks.quiet.delay("v"), tasks.add.apply_async((1, 1), ignore_result=True)]
    return [error, late.state, [result.get() for result in quiet], noted("quiet"), type(quiet[0]).__name__, of(behind.get, T), behind.state]


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
        signature("same.tasks.add", (1, 2)).delay().get(T),
        app.signature("same.tasks.add", args=(3, 3)).apply_async().get(T),
        tasks.add.si(1, 2).immutable,
        sig.freeze("fixed").id,
        sig.id,
        len(tasks.add.s()),
        tasks.add.s(1).apply_async((2,)).get(T),
        tasks.add.s().apply_async((2,), {"y": 3}).get(T),
        tasks.add.s(1, 2).apply().get(),
        sig.type.name,
        app.signature({"task": "same.tasks.mul", "args": [2, 3], "kwargs": {}, "options": {}, "subtask_type": None}).delay().get(T),
    ]


@program
def signals_of_the_caller():
    seen = []

    def before(sender=None, body=None, headers=None, properties=None, **more):
        seen.append(["before", sender, body, sorted(key for key in headers if headers[key] is not None), sorted(properties), sorted(more)])

    def after(sender=None, body=None, headers=None, exchange=None, routing_key=None, **more):
        seen.append(["after", sender, body, exchange, routing_key, headers["id"], headers["task"], headers.get("mine"), sorted(more)])

    signals.before_task_publish.connect(before)
    signals.after_task_publish.connect(after)
    try:
        tasks.add.apply_async((1, 2), headers={"mine": "h"}).get(T)
        tasks.routed.apply_async(priority=3).get(T)
        app.send_task("same.tasks.add", (1, 2), queue="routed").get(T)
        (tasks.add.s(1, 1) | tasks.add.s(2)).apply_async().get(T)
    finally:
        signals.before_task_publish.disconnect(before)
        signals.after_task_publish.disconnect(after)
    return seen


@program
def a_signal_changes_the_message():
    def before(headers=None, body=None, properties=None, **more):
        headers["mine"] = "by a signal"
        body[1]["added"] = 1

    signals.before_task_publish.connect(before)
    try:
        found = tasks.about.delay().get(T)
    finally:
        signals.before_task_publish.disconnect(before)
    return [found["own"], found["kwargs"]]


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
        "same.tasks.add" in app.tasks,
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


@program
def same_id_twice():
    one = tasks.sleeps.apply_async((0.3,), task_id="twice")
    return [one.get(T), tasks.sleeps.apply_async((0.1,), task_id="other").get(T), told(None)]


@program
def numbers_that_json_lacks():
    nan, infinite = float("nan"), float("inf")
    found = tasks.same.delay([nan, infinite, -infinite, {"a": nan}]).get(T)
    return [
        repr(found),
        repr(tasks.returns_unencodable.delay("nan").get(T)),
        repr((tasks.same.s(nan) | tasks.same.s()).delay().get(T)),
        tasks.same.delay("NaN").get(T),
    ]


@program
def many_calls():
    results = [tasks.add.delay(n, n) for n in range(100)]
    mixed = [tasks.add.s(n, 1).apply_async(priority=n % 10, countdown=0.05 * (n % 3)) for n in range(30)]
    return [
        [result.get(T) for result in results] == [2 * n for n in range(100)],
        [result.get(T) for result in mixed] == [n + 1 for n in range(30)],
    ]


@program
def calls_from_threads():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda n: tasks.add.delay(n, n).get(T), range(24)))


@program
def hidden_arguments():
    seen = tasks.about.apply_async(("secret",), {"password": "p"}, argsrepr="('***',)", kwargsrepr="{'password': '***'}").get(T)
    return [seen["args"], seen["kwargs"], seen["argsrepr"], seen["kwargsrepr"]]
