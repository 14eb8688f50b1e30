"""The app itself."""

import celery
from celery import current_app, shared_task
from celery.app.task import Task

from . import tasks
from .running import program

T = 60
app = current_app


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
        app.conf.task_routes["same.tasks.plain.routed"],
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
        sorted(app.amqp.router.route({}, "same.tasks.plain.routed")),
        app.amqp.router.route({}, "same.tasks.plain.routed")["queue"].name,
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
        return {"queue": "routed"} if name == "same.tasks.plain.add" and args and args[0] == 77 else None

    before = app.conf.task_routes
    app.conf.task_routes = (route, {"same.tasks.plain.m*": {"queue": "routed"}})
    app.amqp.__dict__.pop("router", None)
    try:
        names = [
            app.amqp.router.route({}, name, args)["queue"].name
            for name, args in (("same.tasks.plain.add", (77,)), ("same.tasks.plain.add", (1,)), ("same.tasks.plain.mul", ()))
        ]
        values = [tasks.add.delay(77, 1).get(T), tasks.mul.delay(7, 2).get(T)]
    finally:
        app.conf.task_routes = before
        app.amqp.__dict__.pop("router", None)
    return [names, values]
