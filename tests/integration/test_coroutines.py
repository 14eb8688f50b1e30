"""Celery's calls and questions in coroutines, as views of ASGI make them; in a process of its own: tests allow what Django forbids."""

import subprocess
import sys

import pytest

from jobs.models import Job
from tests.workers import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)
PROGRAM = """
import asyncio, os, sys
import django
django.setup()
import tests.taskapp.tasks
from asgiref.sync import sync_to_async
from celery import chain, chord, current_app, group
from celery.result import AsyncResult
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from jobs.models import Job

def task(name):
    return current_app.tasks["t." + name]

@sync_to_async
def within_a_transaction():
    with transaction.atomic():
        task("same").delay("in a transaction")
        transaction.set_rollback(True)

async def view():
    sent = [task("same").delay(n) for n in range(3)]
    sent.append(task("same").apply_async(("later",), countdown=60, task_id="of a coroutine"))
    sent.append(current_app.send_task("t.same", ("by name",)))
    group(task("same").s(n) for n in range(2)).apply_async()
    chord([task("same").s(1), task("same").s(2)], task("total").s()).apply_async()
    chain(task("same").s(1), task("add_one").s()).apply_async()
    assert [result.state for result in sent] == ["PENDING"] * 5, [result.state for result in sent]
    AsyncResult("of a coroutine").revoke()
    assert AsyncResult("of a coroutine").state == "REVOKED"
    await asyncio.gather(*(within_a_transaction() for _ in range(3)))
    try:
        Job.objects.count()
    except SynchronousOnlyOperation:
        print("Django's own rule holds")
    assert asyncio.get_running_loop() is not None
    return len(sent)

async def many():
    async def one(n):
        await asyncio.sleep(0.001 * (n % 3))
        return task("same").delay(n).id
    return len(set(await asyncio.gather(*(one(n) for n in range(20)))))

async def main():
    print(await view(), await many())

async def within():
    return task("same").delay("in the transaction of its thread").state

asyncio.run(main())
with transaction.atomic():
    states = [asyncio.run(within()) for _ in range(2)]
    assert Job.objects.filter(task_id=task("same").delay(1).id).exists()
    transaction.set_rollback(True)
print(states)
print(len([each for each in connections.all(initialized_only=True) if each.connection is not None]), "connections left open")
"""


def test_calls_in_coroutines_make_rows_as_they_sent_messages() -> None:
    environ = environment(DJANGO_SETTINGS_MODULE="task_queue_project.settings")
    del environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Django's own rule holds", "5 20", "['PENDING', 'PENDING']", "1 connections left open"]
    assert Job.objects.count() == 5 + 2 + 2 + 1 + 20  # and not the three that were rolled back
    assert Job.objects.filter(status="cancelled").count() == 1
