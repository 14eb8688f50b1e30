"""Calls to follow: how, how many records there are of them in sentry, and how many spans in OpenTelemetry."""

from celery import chain, current_app, group

from . import tasks

app = current_app


def calls():
    return {
        "plain": (lambda: tasks.traced.delay("a"), 2, 2),
        "plain again": (lambda: tasks.traced.delay("b"), 2, 2),
        "fails": (lambda: tasks.traced.delay("c", fail=True), 3, 2),
        "expected": (lambda: tasks.traced_expected.delay("k"), 2, 2),
        "retries": (lambda: tasks.traced.delay("retry"), 3, 4),
        "by name": (lambda: app.send_task("same.libraries.tasks.traced", ("d",)), 2, 2),
        "options": (lambda: tasks.traced.apply_async(("e",), countdown=0.1, headers={"mine": 1}), 2, 2),
        "chain": (lambda: chain(tasks.traced.si("f"), tasks.traced.si("g")).delay(), 3, 4),
        "group": (lambda: group(tasks.traced.s("h"), tasks.traced.s("i")).delay(), 3, 4),
        "from a task": (lambda: tasks.traced_parent.delay("j"), 3, 4),
    }
