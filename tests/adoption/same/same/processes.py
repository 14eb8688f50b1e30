"""What differs where tasks run in processes of their own. What `inside` has is run here too."""

import os

from celery import current_app, group
from celery.result import AsyncResult

from . import inside, tasks  # noqa: F401
from .inside import ended
from .notes import noted
from .running import of, program

T = 60
app = current_app


@program
def limits():
    found = [
        tasks.soft.delay().get(T),
        ended(tasks.sleeps.apply_async((20,), soft_time_limit=1)),
        of(tasks.sleeps.apply_async((20,), time_limit=1).get, T),
    ]
    return [*found, tasks.about.apply_async(time_limit=9, soft_time_limit=8).get(T)["timelimit"], ended(tasks.add.delay(1, 1))]


@program
def children():
    pids = set(group(tasks.pid.s() for _ in range(8)).delay().get(T))
    return [len(pids) > 1, os.getpid() in pids, tasks.pid.delay().get(T) in pids, noted("process_init", 4) == [True] * 4]


@program
def terminated_by_signal():
    found = []
    for name in ("SIGTERM", "SIGKILL"):
        result = tasks.notes_and_sleeps.delay(20)
        noted(result.id)
        app.control.revoke(result.id, terminate=True, signal=name)
        found += [of(result.get, T)["class"][0], AsyncResult(result.id).state]
    return [*found, tasks.add.delay(1, 2).get(T)]
