"""Processes without requests, whose sessions PostgreSQL ends: a call makes its job all the same, or the caller hears of it, once."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from celery import chord, group
from celery.result import AsyncResult, GroupResult
from django.db import Error, InterfaceError, OperationalError, connections, transaction

from jobs import enqueue, enqueue_many
from jobs.models import Job
from jobs.store import engine
from jobs.tasks import sleep
from tests.flows import s
from tests.integration.test_faults_workers import database_behind_a_proxy, short_path  # noqa: F401 - a fixture
from tests.waiting import until
from tests.workers import ROOT, environment, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
CALLS: dict[str, tuple[Callable[[], Any], int]] = {
    "delay": (lambda: sleep.delay(0), 1),
    "options": (lambda: sleep.apply_async((0,), priority=7), 1),
    "countdown": (lambda: sleep.apply_async((0,), countdown=60), 1),
    "group": (lambda: group(s("same", 1), s("same", 2)).delay(), 2),
    "chord": (lambda: chord([s("same", 1), s("same", 2)], s("total")).delay(), 2),
    "enqueue": (lambda: enqueue("jobs.tasks.sleep", args=[0]), 1),
    "unique": (lambda: enqueue("jobs.tasks.sleep", args=[0], unique_key="one"), 1),
    "delayed": (lambda: enqueue("jobs.tasks.sleep", args=[0], delay=60), 1),
    "many": (lambda: enqueue_many("jobs.tasks.sleep", iter([([0], {}), ([0], {})])), 2),
    "revoke": (lambda: AsyncResult("never sent").revoke(), 0),
    "state": (lambda: AsyncResult("never sent").state, 0),
    "group of results": (lambda: GroupResult.restore("never saved"), 0),
}


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    sleep.delay(0)  # the first one goes Celery's way
    Job.objects.all().delete()
    yield
    connections["default"].close()


def cut() -> None:
    """End this thread's session, and wait until it has ended."""
    pid = connections["default"].connection.info.backend_pid
    with closing(engine.connect("killer")) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

        def is_gone() -> bool:
            cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
            return not cursor.rowcount

        until(is_gone, what="the session has ended")


@pytest.mark.parametrize("name", CALLS)
def test_a_call_over_a_lost_session_is_made_over_another(name: str) -> None:
    call, rows = CALLS[name]
    for _ in range(2):
        Job.objects.all().delete()
        cut()
        call()
        assert Job.objects.count() == rows


def test_an_id_of_the_callers_is_his_to_send_again() -> None:
    """It may be known already, so only he can say whether it is to run again; the next call works."""
    cut()
    with pytest.raises(OperationalError):
        sleep.apply_async((0,), task_id="own")
    sleep.apply_async((0,), task_id="own")
    assert Job.objects.get().task_id == "own"


@pytest.mark.parametrize("call", [sleep.delay, lambda n: enqueue("jobs.tasks.sleep", args=[n])])
def test_what_the_caller_himself_has_found_lost_is_replaced(call: Callable[[int], Any]) -> None:
    cut()
    with pytest.raises(OperationalError):
        Job.objects.count()
    call(0)
    assert Job.objects.count() == 1


@pytest.mark.parametrize("name", CALLS)
def test_a_transaction_of_the_callers_is_never_cut_in_half(name: str) -> None:
    call, _ = CALLS[name]

    def view() -> None:
        with transaction.atomic():
            sleep.delay(1)
            cut()
            with suppress(Error):
                call()
            call()  # nor where he does not heed it

    with pytest.raises((OperationalError, InterfaceError)):
        view()
    assert Job.objects.count() == 0


def test_nor_is_one_without_a_block() -> None:
    transaction.set_autocommit(False)
    sleep.delay(1)
    cut()
    for _ in range(2):
        with pytest.raises((OperationalError, InterfaceError)):
            sleep.delay(2)
    connections["default"].close()
    assert Job.objects.count() == 0


def test_a_plain_error_costs_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    db: Any = connections["default"]
    looks: list[bool] = []
    monkeypatch.setattr(db, "is_usable", lambda: looks.append(True) or True)
    with pytest.raises(Error), db.cursor() as cursor:
        cursor.execute("SELECT nothing")
    session = db.connection
    for _ in range(3):
        sleep.delay(0)
    assert (looks, db.connection) == ([True], session)


LOST_ANSWERS: dict[str, Callable[[], Any]] = {
    "delay": lambda: sleep.delay(0).id,
    "options": lambda: sleep.apply_async((0,), priority=7).id,
    "enqueue": lambda: enqueue("jobs.tasks.sleep", args=[0]).task_id,
    "unique": lambda: enqueue("jobs.tasks.sleep", args=[0], unique_key="one").task_id,
}


@pytest.mark.parametrize("status", ["pending", "cancelled"])
@pytest.mark.parametrize("name", LOST_ANSWERS)
def test_an_insert_whose_answer_is_lost_is_one_job(name: str, status: str, short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Even where it has ended meanwhile."""
    db: Any = connections["default"]
    db.close()
    with database_behind_a_proxy(short_path) as (proxy, _), closing(engine.connect("looks")) as other, other.cursor() as looking:
        monkeypatch.setitem(db.settings_dict, "HOST", str(short_path))
        db.ensure_connection()

        def is_committed(first: bytes, answer: bytes) -> bool:
            looking.execute("UPDATE jobs_job SET status = %s, finished_at = CASE %s WHEN 'cancelled' THEN created_at END", [status, status])
            return bool(looking.rowcount)

        proxy.loses = is_committed
        task_id = LOST_ANSWERS[name]()
        assert proxy.lost == 1
        db.close()
        monkeypatch.undo()
    job = Job.objects.get()
    assert (job.task_id, job.status) == (task_id, status)


def test_each_thread_looks_after_its_own() -> None:
    said: list[str] = []

    def run() -> None:
        try:
            sleep.delay(0)
            cut()
            said.append(sleep.delay(0).id)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(said)) == 3
    assert Job.objects.count() == 6


def test_beat_goes_on(tmp_path: Path) -> None:
    schedule = {"nap": {"task": "jobs.tasks.sleep", "schedule": 0.5, "args": [0]}}
    command = [sys.executable, "-m", "celery", "-A", "task_queue_project", "beat", "--max-interval", "1", "-s", str(tmp_path / "schedule")]
    with (tmp_path / "log").open("wb") as log:
        beat = subprocess.Popen(
            command, cwd=ROOT, env=environment(**settings_of(CELERY_BEAT_SCHEDULE=schedule)), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        for _ in range(2):
            made = Job.objects.count()
            until(lambda: Job.objects.count() > made, what=(tmp_path / "log").read_text())  # noqa: B023
            assert _cut_others()
    finally:
        beat.terminate()
        beat.wait(20)
    assert "OperationalError" not in (tmp_path / "log").read_text()


def _cut_others() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
        )
        return cursor.rowcount
