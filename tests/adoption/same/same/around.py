"""Remote control, events, the app itself and the command line."""

import json
import subprocess
import sys
import threading
import time

import celery
from celery import current_app, shared_task
from celery.app.task import Task

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
        stats["total"].get("same.tasks.sleeps", 0) > 0,
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
        one("rate_limit", "same.tasks.mul", "100/s"),
        one("rate_limit", "same.tasks.mul", "0"),
        one("rate_limit", "nobody", "1/s"),
        one("rate_limit", "same.tasks.mul", "nonsense"),
        one("time_limit", "same.tasks.mul", soft=5, hard=10),
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


def celery_command(*arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "celery", "-A", "same", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@program
def command_line():
    code, out, err = celery_command("call", "same.tasks.add", "-a", "[4, 5]")
    id = out.strip()
    found = {"call": [code, id]}
    value = app.AsyncResult(id).get(T)
    found["value"] = value
    for name, command in {
        "result": ["result", id],
        "result of a task": ["result", id, "-t", "same.tasks.add"],
        "traceback": ["result", id, "--traceback"],
        "kwargs": ["call", "same.tasks.add", "-k", '{"x": 1, "y": 2}', "--countdown", "0.1", "--queue", "routed"],
        "unknown": ["call", "same.tasks.nobody-here"],
        "bad json": ["call", "same.tasks.add", "-a", "[4"],
    }.items():
        code, out, err = celery_command(*command)
        found[name] = [code, out.strip()[:300], (err.strip().splitlines() or [""])[-1][:200]]
    for name, command in {
        "ping": ["inspect", "ping", "-j", "-t", "5"],
        "registered": ["inspect", "registered", "-j", "-t", "5"],
        "active": ["inspect", "active", "-j", "-t", "5"],
        "status": ["status", "-j", "-t", "5"],
        "rate": ["control", "-j", "-t", "5", "rate_limit", "same.tasks.mul", "9/s"],
    }.items():
        code, out, err = celery_command(*command)
        answer = json.JSONDecoder().raw_decode(out.strip())[0] if out.strip().startswith(("{", "[")) else out
        value = next(iter(answer.values())) if isinstance(answer, dict) and answer else answer
        found[name] = [code, [each for each in value if not str(each).startswith("jobs.")] if isinstance(value, list) else value]
    for name, command in {
        "report": ["report"],
        "graph": ["graph", "bootsteps"],
        "purge": ["purge", "-f", "-Q", "never-read"],
        "no task": ["inspect", "query_task", "nobody", "-t", "5"],
        "help": ["--help"],
        "no command": ["nonsense"],
        "version": ["--version"],
        "shell": ["shell", "--help"],
        "list": ["list", "--help"],
    }.items():
        code, out, err = celery_command(*command)
        found[name] = [code, bool(out.strip() or err.strip()), out.strip()[:40] if name in ("purge", "no command") else ""]
    return found


@program
def the_app():
    class Config:
        task_default_queue = "mine"
        task_default_priority = 3

    other = type(app._get_current_object())("other", set_as_current=False, broker=app.conf.broker_url)
    other.config_from_object(Config)
    other.conf.update(task_ignore_result=True)

    @other.task
    def local(x):
        return x

    @other.task(bind=True, name="named", max_retries=7, base=Task)
    def named(self):
        return self.name

    @shared_task(name="shared-later")
    def later():
        return 1

    periodic = []

    @other.on_after_configure.connect
    def schedule(sender, **kwargs):
        sender.add_periodic_task(10.0, local.s(1), name="each ten")
        periodic.append(sender is other)

    return [
        local.name,
        named.name,
        named.max_retries,
        named(),
        local(3),
        "shared-later" in other.tasks,
        other.conf.task_default_queue,
        other.conf.task_ignore_result,
        named.ignore_result,
        sorted(other.conf.beat_schedule),
        periodic,
        other.main,
        str(other)[:7],
        other.gen_task_name("f", "m"),
        type(other.now()).__name__,
        "celery.chord" in other.tasks,
        other.Task is not None,
        issubclass(other.Task, celery.Task),
        other.amqp.queues["mine"].name,
        isinstance(app._get_current_object(), celery.Celery),
        app.conf.task_routes["same.tasks.routed"],
        app.conf.timezone,
        app.conf.enable_utc,
        app.conf.result_extended,
        app.conf.find_value_for_key("extended", "result"),
        app.conf.humanize(with_defaults=False) != "",
        app.oid is not None,
        app.loader is not None,
        app.user_options is not None,
        bool(app.bugreport()),
        celery.current_app.main,
        app.current_task,
        app.current_worker_task,
        sorted(app.amqp.router.route({}, "same.tasks.routed")),
        app.amqp.router.route({}, "same.tasks.routed")["queue"].name,
        app.connection().transport_cls if False else app.connection().as_uri().split(":")[0],
        pickled(),
    ]


def pickled():
    import pickle

    return [
        pickle.loads(pickle.dumps(tasks.add)) is tasks.add,
        type(pickle.loads(pickle.dumps(app._get_current_object()))).__name__,
        pickle.loads(pickle.dumps(tasks.add.s(1, 2))) == tasks.add.s(1, 2),
        type(pickle.loads(pickle.dumps(app.AsyncResult("x")))).__name__,
    ]


@program
def routes():
    def route(name, args, kwargs, options, task=None, **more):
        return {"queue": "routed"} if name == "same.tasks.add" and args and args[0] == 77 else None

    before = app.conf.task_routes
    app.conf.task_routes = (route, {"same.tasks.m*": {"queue": "routed"}})
    app.amqp.__dict__.pop("router", None)
    try:
        names = [
            app.amqp.router.route({}, name, args)["queue"].name
            for name, args in (("same.tasks.add", (77,)), ("same.tasks.add", (1,)), ("same.tasks.mul", ()))
        ]
        values = [tasks.add.delay(77, 1).get(T), tasks.mul.delay(7, 2).get(T)]
    finally:
        app.conf.task_routes = before
        app.amqp.__dict__.pop("router", None)
    return [names, values]
