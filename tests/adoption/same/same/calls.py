"""How tasks are called."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from celery import current_app
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
        of(app.send_task, "same.tasks.plain.add", "ab"),
        of(lambda: app.send_task("same.tasks.plain.add", (1,)).get(T)),
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
        found.append(app.send_task("same.tasks.plain.add", (1, 4), producer=producer).get(T))
    with app.producer_or_acquire() as producer:
        found += (
            [result.get(T) for result in [tasks.add.apply_async((n, 5), producer=producer) for n in range(3)]] if app.main == "" else []
        )
    with app.pool.acquire(block=True) as connection, connection.Producer() as producer:
        found.append(tasks.add.apply_async((1, 6), producer=producer).get(T))
    return found


@program
def send_task():
    return [
        app.send_task("same.tasks.plain.add", (2, 2)).get(T),
        app.send_task("same.tasks.plain.add", kwargs={"x": 2, "y": 3}, queue="routed").get(T),
        app.send_task("same.tasks.plain.add", [2, 4], task_id="by-name", headers={"a": "b"}).get(T),
        app.send_task("same.tasks.nobody", (1,)).state,
        app.send_task("same.tasks.plain.routed").get(T),
        tasks.routed.delay().get(T),
        tasks.routed.apply_async(queue="celery").get(T),
        app.send_task("same.tasks.plain.add", (2, 5), link=tasks.mul.s(2)).get(T),
    ]


@program
def expired_and_unread():
    late = tasks.add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(seconds=5))
    error = of(late.get, T)
    behind = tasks.add.apply_async((1, 1), countdown=3, expires=1)
    quiet = [tasks.quiet.delay("v"), tasks.add.apply_async((1, 1), ignore_result=True)]
    return [error, late.state, [result.get() for result in quiet], noted("quiet"), type(quiet[0]).__name__, of(behind.get, T), behind.state]


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
