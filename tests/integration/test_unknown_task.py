"""A job whose task the worker does not know: it waits for one that does, and is buried when none comes."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery.exceptions import NotRegistered
from celery.result import AsyncResult
from celery.utils.functional import LRUCache
from django.db import connection
from django.utils import timezone

from jobs.celery_app import process_engine
from jobs.models import DeadLetterQueue, Job
from jobs.worker import consumer as worker_consumer
from jobs.worker.consumer import Consumer
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


def insert(task: str, count: int) -> list[int]:
    """Plain rows, as other programs insert them."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, args) SELECT %s, '[1, 2]' FROM generate_series(1, %s) RETURNING id", [task, count])
        return [row[0] for row in cursor.fetchall()]


def test_nobody_knows_it(tmp_path: Path) -> None:
    """Each job gets the whole time, however many there are, and no attempt is spent before."""
    with running_worker(tmp_path / "log", EXTRA_INSTALLED_APPS="tests.brokenapp", BREAK="patience") as worker:
        ids = insert("no.such.task", 30)
        good = insert("jobs.tasks.fail", 1)
        until(lambda: Job.objects.filter(id__in=ids, status="failed").count() == 30, timeout=60)
        assert worker.poll() is None
    jobs = list(Job.objects.filter(id__in=ids))
    assert min(job.finished_at - job.created_at for job in jobs if job.finished_at) > timedelta(seconds=4)
    assert {job.attempts for job in jobs} == {1}
    entry = DeadLetterQueue.objects.get(job=jobs[0])
    assert (entry.error_class, entry.message) == ("UnknownTask", "No worker knows the task 'no.such.task'")
    assert Job.objects.get(id=good[0]).status != "running"
    with pytest.raises(NotRegistered, match="such"):
        AsyncResult(jobs[0].task_id).get(timeout=5)


def test_its_minute_begins_when_no_worker_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one knew it, and had no slot for it all the time: when it was started anew, the job was buried at once."""
    now = [0.0]
    monkeypatch.setattr(worker_consumer, "time", SimpleNamespace(monotonic=lambda: now[0]))
    here, other = PlainEngine(Registration(WORKER)), Registration(WORKER | {"name": "other", "tasks": ["t.there"]})
    process_engine.use(here)
    consumer = Consumer.__new__(Consumer)
    consumer.unknown = LRUCache()
    (id,) = insert("t.there", 1)

    def met(at: float) -> str:
        Job.objects.filter(id=id).update(run_at=timezone.now())
        now[0], job = at, Job.objects.get(id=id)
        names = {"id": job.task_id, "task": job.task, "job_id": id, "runs": job.runs + 1, "job_queue": "celery", "job_priority": 5}
        consumer.on_unknown_task(None, SimpleNamespace(headers=names), KeyError(job.task))
        assert Job.objects.get(id=id).runs == job.runs + 1, "it was claimed"
        return Job.objects.get(id=id).status

    try:
        assert [met(0), met(1), met(66)] == ["pending"] * 3
        other.leave()
        assert [met(66.2), met(71), met(126)] == ["pending"] * 3
        other.take()  # and anew, when it is away another time
        assert met(126.5) == "pending"
        other.leave()
        assert [met(127), met(186), met(187.5)] == ["pending", "pending", "failed"]
    finally:
        process_engine.use(None)
        other.leave()
        here.registration.leave()
        here.close()


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("prefork", "threads", "solo"))])
def test_another_worker_knows_it(tmp_path: Path, pool: str) -> None:
    """One of two workers is of an older version."""
    old_code = {"EXTRA_INSTALLED_APPS": "tests.brokenapp", "BREAK": "patience"}
    with (
        running_worker(tmp_path / "old", "-n", "old@here", pool=pool, slots=2 if pool == "prefork" else 4, **old_code) as old,
        running_worker(tmp_path / "new", "-n", "new@here", pool=pool, slots=2 if pool == "prefork" else 4),
    ):
        ids = insert("t.add", 16)
        until(lambda: Job.objects.filter(id__in=ids, status="completed").count() == 16, timeout=30)
        assert old.poll() is None
    assert not DeadLetterQueue.objects.exists()
    assert set(Job.objects.values_list("attempts", "losses")) == {(1, 0)}, "no attempt is spent by going back"
