"""Event loops in the greenlets of a worker: Celery's calls work beside one and in one, over the connections of the greenlet that calls."""

import subprocess
import sys

import pytest

from jobs.models import Job
from tests.workers import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import asyncio, django, gevent
from jobs.worker import green_waits
green_waits.patch()
django.setup()
import tests.taskapp.tasks
from asgiref.sync import async_to_sync, sync_to_async
from celery import current_app, group
from celery.result import AsyncResult
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from gevent.event import Event
from jobs.integrations import coroutines
from jobs.models import Job
from jobs.store import loops
from jobs.worker.task_connections import keep_connections

before = connections["default"]
loops.tell_apart()
assert connections["default"] is before, "what the process has open stays"
keep_connections(current_app._get_current_object(), 4)
fixup = next(each for each in current_app._fixups if hasattr(each, "worker_fixup")).worker_fixup
same, runs, over = current_app.tasks["t.same"], Event(), Event()

async def hold():
    runs.set()
    mine = asyncio.get_running_loop()
    while not over.is_set():
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop() is mine, "whoever steps out hides the loop from no other"

def neighbour(n):
    with transaction.atomic():
        same.delay("taken back")
        connection = connections["default"]
        gevent.sleep(0.01)
        assert connections["default"] is connection
        transaction.set_rollback(True)
    sent = [same.delay(n), same.apply_async((n,), countdown=60), *group(same.s(n), same.s(n)).apply_async()]
    sent[0].revoke()
    states = [each.state for each in sent]
    fixup.close_database()
    assert connection.connection is None, "left open"
    return states

async def calls():
    sent = same.delay("in a coroutine")
    await asyncio.sleep(0.001)
    group(same.s(1), same.s(2)).apply_async()
    same.apply_async(("later",), countdown=60).revoke()
    try:
        Job.objects.count()
    except SynchronousOnlyOperation:
        return sent.state

def within():
    with transaction.atomic():
        state = asyncio.run(calls())
        transaction.set_rollback(True)
    return state

async def by_threads():
    try:
        same.delay("in a thread of gevent's, which shares no sockets with the greenlets")
    except SynchronousOnlyOperation:
        return await sync_to_async(calls_of_a_thread)()

def calls_of_a_thread():
    sent = same.delay("of a thread")
    sent.revoke()
    return sent.state

held = gevent.spawn(asyncio.run, hold())
runs.wait()
beside = [gevent.spawn(neighbour, n) for n in range(4)] + [gevent.spawn(coroutines.run, by_threads)]
print(*[each.get() for each in beside], sep="\\n")
over.set()
held.get()
for way in (lambda: asyncio.run(calls()), async_to_sync(calls), within):
    print(gevent.spawn(way).get())
print(connections["default"] is before, asyncio._get_running_loop())
"""


def test_calls_beside_a_loop_and_in_one() -> None:
    environ = environment(DJANGO_SETTINGS_MODULE="task_queue_project.settings")
    del environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *["['REVOKED', 'PENDING', 'PENDING', 'PENDING']"] * 4, "REVOKED", "PENDING", "PENDING", "PENDING", "True None",
    ]  # fmt: skip
    assert Job.objects.count() == 4 * 4 + 1 + 2 * 4  # and not what was taken back, in the last a coroutine's too
