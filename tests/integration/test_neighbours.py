"""Two databases on one Redis under one prefix: a copy restored for tests, two developers, a test run beside a worker."""

import logging
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection

from jobs import enqueue, enqueue_many
from jobs.models import Job
from jobs.store import broker, engine, sender
from jobs.store.absent import Absent
from jobs.store.locks import LEADER
from jobs.worker import leader_child
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.integration.test_faults_messages import all_sent
from tests.rows import are, open_gate
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.mark.parametrize("pool", ["gevent", pytest.param("threads", marks=pytest.mark.chaos)])
def test_a_message_for_the_job_of_the_same_number_elsewhere_runs_nothing(tmp_path: Path, pool: str) -> None:
    """The row is made another job while its message lies in Redis: as if the message were for a job of that number in another database."""
    with running_worker(tmp_path / "log", pool=pool):
        busy = enqueue_many("t.gate", [(("elsewhere",), {})] * 4)
        until(lambda: are("running", *busy), timeout=30)
        job = enqueue("t.add", args=[1, 2]).id
        until(lambda: all_sent("celery", 1), timeout=20)
        Job.objects.filter(id=job).update(task_id="of-here", args=[40, 2])
        open_gate("elsewhere")
        until(lambda: are("completed", job, *busy), timeout=30)
    found = Job.objects.get(id=job)
    assert (found.task_id, found.result, found.runs) == ("of-here", 42, 1)


def test_the_leader_says_that_another_database_sends_through_its_redis(tmp_path: Path) -> None:
    """Beside a queue of any name: once the key was that of a queue's lane, and stopped all queues."""
    log, key = tmp_path / "log", f"jobs:{sender.KEY}"
    with running_worker(log, "-Q", "celery,database"):
        client = broker.client(settings.CELERY_BROKER_URL)
        until(lambda: client.exists(key), timeout=20)
        own = client.get(key)
        job = enqueue("t.add", args=[1, 2], queue="database", priority=9).id
        until(lambda: are("completed", job), timeout=20)
        client.set(key, "shop of system 1")
        until(lambda: b"Two databases send their jobs through one Redis" in log.read_bytes(), timeout=20)
        assert client.get(key) == own
    assert f"{own.decode()} and shop of system 1; each needs a JOBS_KEY_PREFIX of its own" in log.read_text()


def test_a_standby_says_that_the_leader_sends_through_another_redis(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All seemed to be well, and no job came to the worker beside it."""
    monkeypatch.setattr("jobs.store.absent.EACH", 0.0)
    client = broker.client(settings.CELERY_BROKER_URL)
    client.delete(sender.key())
    with caplog.at_level(logging.WARNING, "jobs.store"), closing(Absent(current_app.conf)) as absent, connection.cursor() as cursor:
        absent.look(cursor, 7)
        assert caplog.records == [], "it may have been elected just now"
        monkeypatch.setattr(sender, "PATIENCE", 0.0)
        cursor.execute(sender.WHO)
        client.set(sender.key(), cursor.fetchone()[0], ex=60)
        absent.look(cursor, 7)
        assert caplog.records == []
        client.set(sender.key(), "shop of system 1", ex=60)
        for holder in (None, 7, 7):
            absent.look(cursor, holder)
    client.delete(sender.key())
    (record,) = caplog.records
    assert "No job comes through this Redis: the leader has another REDIS_URL or JOBS_KEY_PREFIX" in record.getMessage()


def test_a_worker_without_a_standby_says_so_itself(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """JOBS_LEADER_CHILD=False: beside it nobody looks, and the pages may know the right Redis."""
    monkeypatch.setattr("jobs.store.absent.EACH", 0.0)
    monkeypatch.setattr(leader_child, "EACH", 0.05)
    monkeypatch.setattr(sender, "PATIENCE", 0.0)
    settings.JOBS_LEADER_CHILD, settings.JOBS_KEY_PREFIX = False, "of another:"
    registration = Registration(WORKER)
    step = leader_child.LeaderChild(SimpleNamespace(steps=[]))
    with closing(engine.connect("leads")) as leader, leader.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", LEADER)  # unless there is one
        step.start(SimpleNamespace(app=current_app, engine=SimpleNamespace(registration=registration)))
        try:
            until(lambda: "No job comes through this Redis" in caplog.text, timeout=20)
        finally:
            step.stop(None)
            registration.leave()
    assert step.child is None
