"""Programs in the style of large projects."""

from datetime import UTC, datetime, timedelta

from celery import current_app, group
from django.utils import timezone
from django.utils.translation import gettext_lazy
from kombu import Exchange, Queue

from same.notes import noted
from same.running import of, program

from . import tasks

T = 30
app = current_app


@program
def routing():
    calls = {
        "queue and key": tasks.where.apply_async(queue="mails", routing_key="mail.x"),  # declares the exchange, on stock Celery
        "plain": tasks.where.delay(),
        "router": tasks.where.delay(video=True),
        "exchange and key": tasks.where.apply_async(exchange="media", routing_key="media.video"),
        "exchange object": tasks.where.apply_async(exchange=Exchange("media", type="direct"), routing_key="media.video"),
        "topic of the task": tasks.by_topic.delay(),
        "queue object": tasks.where.apply_async(queue=app.amqp.queues["mails"]),
        "topic": tasks.where.apply_async(exchange="topics", routing_key="mail.received.today"),
        "by name": app.send_task("same.style.tasks.where", exchange="topics", routing_key="mail.by.name"),
        "canvas": tasks.where.s().set(exchange="media", routing_key="media.video").apply_async(),
        "group": group(tasks.where.s(), tasks.by_topic.s()).apply_async(),
        "priority": tasks.where.apply_async(kwargs={"details": False}, priority=7, exchange="media", routing_key="media.video"),
    }
    return {name: of(result.get, T) for name, result in calls.items()}


@program
def custom_types():
    money = tasks.Money(5, "SAR")
    result = tasks.pays.delay(money, label=gettext_lazy("Hello"))
    return [result.get(T)[:3], type(result.get(T)[3]).__name__, of(tasks.pays.delay, object())["class"][0]]


@program
def inherited_priorities():
    result = tasks.priorities.apply_async((2,), priority=7)
    return noted(f"priorities {result.id}", 3)


@program
def local_time():
    now = datetime.now(UTC)
    options = {
        "countdown": {"countdown": 0.3, "expires": 60},
        "aware": {"eta": timezone.now() + timedelta(seconds=0.3), "expires": timezone.now() + timedelta(seconds=60)},
        "local": {"eta": timezone.localtime() + timedelta(seconds=0.3), "expires": timezone.localtime() + timedelta(seconds=60)},
        "naive": {"eta": timezone.make_naive(timezone.now() + timedelta(seconds=0.3)), "expires": 60},
        "past": {"eta": timezone.make_naive(timezone.now()) - timedelta(seconds=5)},
    }
    found = {name: of(tasks.times.apply_async(**given).get, T) for name, given in options.items()}
    expired = [tasks.times.apply_async(expires=now - timedelta(seconds=60))]
    later = tasks.times.apply_async(eta=timezone.make_naive(timezone.now()) + timedelta(seconds=1.5))
    sent = datetime.now(UTC)
    waited = of(later.get, T) and (datetime.now(UTC) - sent).total_seconds()
    return [found, [of(each.get, T) for each in expired], 0.5 < waited < 20, app.conf.timezone, type(app.now()).__name__]


@program
def tracebacks():
    result = tasks.deep.delay()
    error = of(lambda: result.get(T))
    names = []
    try:
        result.get(T)
    except KeyError as found:
        trace = found.__traceback__
        while trace:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
    return [error["class"], "deeper" in names, "deeper" in result.traceback]


@program
def bases_of_large_projects():
    found = []
    for value in ("ok", "away", "fails"):
        result = tasks.tracked.apply_async((value,), tenant="acme")
        found.append([of(result.get, T), result.state])
    direct = tasks.tracked.delay("plain")
    return [
        *found,
        noted(f"tracked {result.id}", 1),
        of(direct.get, T),
        of(tasks.tracked.s("sig").set(tenant="t").delay().get, T),
        tasks.tracked.calls,
        [name for name in app.tasks if name.startswith("same.style")],
        sorted(app.conf.beat_schedule),
    ]


@program
def steps():
    from os import environ

    name = f"orders-{environ['SAME']}"
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for n in range(3):
            producer.publish({"order": n}, exchange=Exchange("orders", type="direct"), routing_key=name, serializer="json",
                             declare=[Queue(name, Exchange("orders", type="direct"), routing_key=name)])  # fmt: skip
    return [
        sorted(noted("orders", 3), key=str),
        len(noted("liveness", 5)) >= 5,
        noted("after_setup_logger")[:1],
        [[each[0].split("@")[0], *each[1:]] for each in noted("celeryd_after_setup")],
        tasks.where.delay().get(T),
    ]
