"""What an accepted job survives: Redis emptied, PostgreSQL away, workers that the job itself kills."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from jobs import enqueue, enqueue_many
from jobs.dev import embedded
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.models.attempt import Outcome
from jobs.models.job import ClockTimestamp
from jobs.store import broker
from jobs.store.locks import WORKER_CLASS
from task_queue_project import servers
from tests.integration.test_services import servers_of
from tests.rows import open_gate
from tests.waiting import until
from tests.workers import ROOT, running_worker

OUTAGE = 4.0  # seconds; longer than the jobs that run when it begins


@pytest.mark.django_db(transaction=True)
def test_jobs_that_wait_survive_an_emptied_redis(tmp_path: Path) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the task in this process

    client = broker.client(settings.CELERY_BROKER_URL)
    with running_worker(tmp_path / "log") as worker:
        first = enqueue_many("t.gate", [(("emptied",), {})] * 4, priority=9)
        until(lambda: Job.objects.filter(status="running").count() == 4, timeout=15)
        waiting = enqueue_many("jobs.tasks.sleep", [((0.01,), {})] * 40)
        until(lambda: _messages(client) >= 40, timeout=10, what="the window is filled")
        client.flushall()
        assert _messages(client) == 0
        open_gate("emptied")
        until(lambda: Job.objects.filter(status="completed").count() == 44, timeout=30)
        assert worker.poll() is None
    assert sorted(Job.objects.values_list("id", flat=True)) == sorted([*first, *waiting])
    assert set(Job.objects.values_list("runs", flat=True)) == {1}
    assert "are no longer in Redis and were not claimed" in (tmp_path / "log").read_text()


def _messages(client: Any) -> int:
    return sum(client.llen(key) for key in client.scan_iter("jobs:*") if client.type(key) == b"list")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_job_that_kills_its_workers_is_buried(tmp_path: Path) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the task in this process

    poison = enqueue("t.kill_worker", max_retries=0)
    for number in range(2):
        with running_worker(tmp_path / f"log-{number}", JOBS_MAX_LOST="2") as worker:
            until(lambda worker=worker: worker.poll() is not None, timeout=30, what="the worker is killed by the job")  # type: ignore[misc]
    with running_worker(tmp_path / "last", JOBS_MAX_LOST="2") as worker:
        until(lambda: Job.objects.get(id=poison.id).status == "failed", timeout=30)
        good = enqueue("jobs.tasks.sleep", args=[0])
        until(lambda: Job.objects.get(id=good.id).status == "completed", timeout=15)
        assert worker.poll() is None
    job = Job.objects.get(id=poison.id)
    assert (job.runs, job.losses, job.attempts, job.permanently_failed) == (2, 2, 0, True)
    assert list(Attempt.objects.filter(job=job).order_by("run").values_list("outcome", flat=True)) == [Outcome.LOST] * 2
    entry = DeadLetterQueue.objects.get(job=job)
    assert (entry.error_class, entry.resolution) == ("WorkerLost", "open")
    assert f"Job {job.id} (t.kill_worker) lost its worker 2 times and is buried" in (tmp_path / "last").read_text()


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_cut_is_taken_again_before_its_jobs_are_given_away(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        job = enqueue("jobs.tasks.sleep", args=[8])
        until(lambda: Job.objects.get(id=job.id).status == "running", timeout=15)
        for _ in range(4):
            former = until(_lock_holder, timeout=10, what="the worker holds its lock")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [former])
            until(lambda former=former: _lock_holder() not in (None, former), timeout=10, what="it holds it again")  # type: ignore[misc]
        until(lambda: Job.objects.get(id=job.id).status == "completed", timeout=30)
    assert Job.objects.get(id=job.id).runs == 1
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("pool", ["gevent", pytest.param("threads", marks=pytest.mark.slow)])
@pytest.mark.django_db(transaction=True)
def test_a_server_that_takes_no_writes_for_some_seconds_loses_no_outcome(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool) as worker:
        ids = enqueue_many("jobs.tasks.sleep", [((3,), {})] * 4 + [((0.1,), {})] * 4)
        until(lambda: Job.objects.filter(status="running").count() == 4, timeout=15)
        _refuse_writes("on")
        try:
            until(lambda: Job.objects.filter(started_at__lt=ClockTimestamp() - timedelta(seconds=4.5)).count() >= 4, timeout=15)
            assert not Job.objects.filter(status="completed").exists()
            assert (tmp_path / "log").read_text().count("This process is the leader now") == 1, "not at each try"
        finally:
            _refuse_writes("off")
        until(lambda: Job.objects.filter(status="completed").count() == 8, timeout=30)
        assert worker.poll() is None
    assert set(Job.objects.filter(id__in=ids).values_list("runs", flat=True)) == {1}
    assert not Attempt.objects.exists()


def _refuse_writes(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        cursor.execute("SELECT pg_reload_conf()")


def _lock_holder() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s", [WORKER_CLASS])
        row = cursor.fetchone()
    return row[0] if row else None


def test_postgresql_away_for_some_seconds(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    """Servers of its own: what ran goes on, is written when PostgreSQL is back, and nothing runs twice."""
    urls = embedded.start(data_dir)
    environ = own_environ | urls
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environ, check=True, timeout=60)
    command = [sys.executable, "-m", "celery", "-A", "task_queue_project", "worker", "-l", "INFO", "-P", "gevent", "-c", "4"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        worker = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out, start_new_session=True)
    try:
        until(lambda: b" ready." in log.read_bytes() or worker.poll() is not None, timeout=30)
        ask = asker(urls["DATABASE_URL"])
        ask("INSERT INTO jobs_job (task, args, priority) SELECT 'jobs.tasks.sleep', '[3]', 9 FROM generate_series(1, 4)")
        until(lambda: ask("SELECT count(*) FROM jobs_job WHERE status = 'running'") == 4, timeout=20)
        ask("INSERT INTO jobs_job (task, args) SELECT 'jobs.tasks.sleep', '[0.01]' FROM generate_series(1, 20)")
        kill_postgresql(data_dir)
        time.sleep(OUTAGE)  # the jobs that run end meanwhile
        assert "lock connection is gone" in log.read_text()
        said = re.findall("the worker's lock cannot be taken again: .*", log.read_text())
        assert len(said) == len(set(said)) > 0
        embedded.start(data_dir)
        ask = asker(urls["DATABASE_URL"])
        until(lambda: ask("SELECT count(*) FROM jobs_job WHERE status = 'completed'") == 24, timeout=60)
        assert ask("SELECT array_agg(DISTINCT runs) FROM jobs_job") == [1]
        assert ask("SELECT count(*) FROM jobs_attempt") == 0
        assert worker.poll() is None
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait(40)


def kill_postgresql(data_dir: Path) -> None:
    """kill -9 of the server and all its children."""
    for process in list(servers_of(data_dir)):
        if "redis.sock" not in " ".join(process.cmdline()):
            for member in [process, *process.children(recursive=True)]:
                member.kill()
    until(lambda: "DATABASE_URL" not in embedded.running(data_dir))


def asker(url: str) -> Callable[[str], Any]:
    """Runs one statement over a connection of its own; the first value of its answer."""

    def ask(statement: str) -> Any:
        connection = servers.connect(url, timeout=5)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()[0] if cursor.description else None
        finally:
            connection.close()

    return ask
