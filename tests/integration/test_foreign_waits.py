"""JOBS_ACCEPT_FOREIGN: the worker's loop, in which a message is taken in, waits for nobody and outlives whatever PostgreSQL says."""

import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from celery import current_app
from django.db import connection, connections

import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process
from jobs import enqueue
from jobs.celery_app import process_engine
from jobs.models import Job
from jobs.store import engine, transitions
from jobs.store.transitions import Run
from jobs.worker import foreign
from jobs.worker.own_writes import OwnWrites
from tests.rows import job_in
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def writes() -> Iterator[None]:
    """What a worker writes by."""
    own = OwnWrites(partial(engine.connect, "jobs-engine"))
    process_engine.use(SimpleNamespace(write=own.write))  # type: ignore[arg-type]
    yield
    process_engine.use(None)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "jobs-foreign"])
    own.close()


def taken_in(task_id: str) -> bool:
    """Whether the loop goes on behind the message."""
    message = mock.Mock(headers={"task": "t.add", "id": task_id}, properties={}, delivery_info={})
    message.decode.return_value = ([1, 2], {}, {})
    done: list[bool] = []
    loop = threading.Thread(target=lambda: (done.append(foreign.take_in(current_app, message)), connections.close_all()), daemon=True)
    loop.start()
    loop.join(10)
    return done == [True]


def other_session() -> Any:
    """Of somebody who takes his time."""
    made = engine.connect("somebody")
    made.autocommit = False
    return closing(made)


def test_nobody_is_waited_for_who_keeps_the_job_of_the_same_id_locked() -> None:
    job = job_in("completed")
    with other_session() as somebody, somebody.cursor() as cursor:
        cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [job.id])
        assert taken_in(job.task_id)
        assert taken_in("another")
        assert Job.objects.filter(task_id="another", status="pending").exists()
        assert Job.objects.get(pk=job.id).status == "completed"
    until(lambda: Job.objects.filter(pk=job.id, status="pending", task="t.add").exists())


def test_a_key_that_is_taken_in_the_same_moment_ends_no_worker() -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
    run = Run(id=job.id, runs=1)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        assert transitions.complete(cursor, run, result="null")
    with other_session() as somebody, somebody.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, unique_key) VALUES ('t.nap', 'one')")
        assert taken_in(job.task_id)
        somebody.commit()
    until(lambda: Job.objects.filter(pk=job.id, status="pending", unique_key=None).exists())


def test_what_a_constraint_of_the_project_forbids_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ADD CONSTRAINT no_adding CHECK (task <> 't.add')")
        try:
            assert taken_in("forbidden")
            until(lambda: "refused a message of another program: new row" in caplog.text)
        finally:
            cursor.execute("ALTER TABLE jobs_job DROP CONSTRAINT no_adding")
    assert not Job.objects.exists()


def test_when_as_many_wait_as_may_the_loop_sees_to_the_next_one_itself(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken from Redis is in no row yet: a worker that is killed has lost it."""
    monkeypatch.setattr(foreign, "_waits", threading.BoundedSemaphore(1))
    foreign._waits.acquire()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ADD CONSTRAINT no_adding CHECK (task <> 't.add')")
        try:
            assert taken_in("forbidden")
            assert "refused a message of another program: new row" in caplog.text, "before the loop goes on"
        finally:
            cursor.execute("ALTER TABLE jobs_job DROP CONSTRAINT no_adding")
