"""Remote control and events."""

import threading
import time

from celery import current_app

from . import tasks
from .running import of, program

T = 60
app = current_app


def the(replies):
    """What the one worker says."""
    return next(iter(replies.values())) if replies else replies


@program
def inspect():
    i = app.control.inspect(timeout=3)
    running = tasks.sleeps.apply_async((8,), shadow="napping")
    time.sleep(1)
    active = the(i.active())
    safely = the(i.active(safe=True))[0]["name"]
    queried = the(i.query_task(running.id))[running.id][0]
    found = [
        the(i.ping()),
        sorted(name for name in the(i.registered()) if not name.startswith("jobs.")),
        sorted(active[0]),
        [active[0][key] for key in ("name", "type", "args", "kwargs", "acknowledged", "id")],
    ]
    stats = the(i.stats())
    found += [
        sorted(stats),
        sorted(stats["pool"]),
        stats["pool"]["max-concurrency"],
        stats["total"].get("same.tasks.plain.sleeps", 0) > 0,
        stats["prefetch_count"] > 0,
        sorted(stats["broker"]),
    ]
    queues = the(i.active_queues())
    found += [
        sorted(queue["name"] for queue in queues),
        sorted(queues[0]),
        the(i.reserved()),
        sorted(the(i.conf()))[:3],
        sorted(the(i.clock())),
        type(the(i.report())["ok"]).__name__,
    ]
    found += [
        queried,
        the(i.query_task("nobody")),
        the(i.revoked()) is not None,
        type(the(i.scheduled())).__name__,
        sorted(the(i.conf(with_defaults=True)))[:2] != [],
    ]
    return [
        *found,
        safely,
        app.control.ping(timeout=2)[0] is not None,
        app.control.inspect(["nobody@nowhere"], timeout=0.5).ping(),
        running.get(T),
    ]


@program
def control():
    def one(name, *args, **kwargs):
        replies = getattr(app.control, name)(*args, reply=True, timeout=3, **kwargs)
        return [next(iter(reply.values())) for reply in replies]

    return [
        one("ping") if False else app.control.ping(timeout=3)[0] and "pong",
        one("rate_limit", "same.tasks.plain.mul", "100/s"),
        one("rate_limit", "same.tasks.plain.mul", "0"),
        one("rate_limit", "nobody", "1/s"),
        one("rate_limit", "same.tasks.plain.mul", "nonsense"),
        one("time_limit", "same.tasks.plain.mul", soft=5, hard=10),
        one("add_consumer", "extra-q"),
        one("cancel_consumer", "extra-q"),
        one("enable_events"),
        one("disable_events"),
        one("enable_events"),
        one("pool_grow", 1),
        one("pool_shrink", 1),
        one("broadcast", "double", arguments={"n": 4}),
        one("broadcast", "whereabouts"),
        one("broadcast", "no_such_command"),
        one("heartbeat"),
        one("broadcast", "pool_restart")[0].keys() if True else 0,
        tasks.mul.delay(2, 3).get(T),
    ]


@program
def purge():
    app.control.add_consumer("never-read", reply=True, timeout=0.01) if False else None
    sent = [tasks.add.apply_async((1, 1), queue="never-read") for _ in range(3)]
    with app.connection_for_write() as connection:
        from kombu import Queue

        count = Queue("never-read", channel=connection.default_channel).purge()
    return [count, len(sent), app.control.purge()]


@program
def events():
    seen, ready = [], threading.Event()

    def listen():
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": heard})
            ready.set()
            try:
                receiver.capture(limit=None, timeout=6, wakeup=True)
            except Exception:
                pass

    def heard(event):
        if event["type"].startswith("task-"):
            seen.append(event)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    ready.wait()
    time.sleep(1.5)
    sent = {"ok": tasks.add.delay(1, 1), "fail": tasks.fail.delay(), "retry": tasks.retries.delay(1), "custom": tasks.events.delay()}
    for result in sent.values():
        of(result.get, T)
    time.sleep(1)
    thread.join(10)
    names = {result.id: name for name, result in sent.items()}
    found = {}
    for event in seen:
        if event["uuid"] in names:
            found.setdefault(names[event["uuid"]], []).append([event["type"], sorted(event)])
    return {name: sorted(each) for name, each in found.items()}


@program
def state_of_events():
    state = app.events.State()
    state.event(
        {"type": "worker-online", "hostname": "a@b", "timestamp": time.time(), "local_received": time.time(), "clock": 1, "freq": 2}
    )
    return [len(state.workers), len(state.tasks)]
