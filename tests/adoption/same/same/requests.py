"""What a task and the signals see of a call."""

from celery import current_app, signals

from . import tasks
from .running import program

T = 60
app = current_app


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
        app.send_task("same.tasks.plain.add", (1, 2), queue="routed").get(T)
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
def hidden_arguments():
    seen = tasks.about.apply_async(("secret",), {"password": "p"}, argsrepr="('***',)", kwargsrepr="{'password': '***'}").get(T)
    return [seen["args"], seen["kwargs"], seen["argsrepr"], seen["kwargsrepr"]]
