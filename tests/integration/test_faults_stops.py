"""A worker that is told to stop while Redis is not there to hear of it, and one whose Redis comes back: its heart goes on."""

import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connection

from jobs import enqueue, enqueue_many
from jobs.models import Attempt, Job
from jobs.worker.ending import SOFTWARE
from tests.own_redis import OwnRedis
from tests.rows import open_gate
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
# A worker of Celery's own loop may wait for several answers, one after the other, before it hears that it shall stop.
GRACE = {"gevent": 3, "prefork": 15, "threads": 15, "solo": 15}
LOADED = 2  # a loaded machine gets twice as long


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def ends_well(worker: Any, pool: str) -> None:
    """SIGTERM; code 0 within the grace and 5 s."""
    worker.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert worker.wait(60) == 0
    assert time.monotonic() - told < GRACE[pool] + 5 * LOADED


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "code"), [("gevent", SOFTWARE), ("prefork", 0)])
def test_an_errback_that_takes_its_time_is_left_to_another_worker(tmp_path: Path, pool: str, code: int) -> None:
    """Under gevent its job's own greenlet calls it, and ends with the process."""
    log = tmp_path / "log"
    with running_worker(log, pool=pool, slots=2, JOBS_SHUTDOWN_GRACE=str(GRACE["gevent"])) as worker:
        job = current_app.tasks["t.permanent"].apply_async(link_error=current_app.tasks["t.note_late"].s())
        until(lambda: "errback begins" in log.read_text())
        worker.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert worker.wait(60) == code
        assert time.monotonic() - told < GRACE["gevent"] + 5 * LOADED
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM jobs_aftermath JOIN jobs_job ON id = job_id WHERE task_id = %s AND status = 'failed'", [job.id]
        )
        assert cursor.fetchone() == (1,), "it will be called again"


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("prefork", "threads", "solo"))])
def test_a_worker_stops_while_redis_hangs(tmp_path: Path, own_redis: OwnRedis, pool: str) -> None:
    """What it runs is given back after the grace (a thread in a call cannot be ended: there, nothing runs)."""
    with running_worker(tmp_path / "log", pool=pool, slots=2, REDIS_URL=own_redis.url, JOBS_SHUTDOWN_GRACE=str(GRACE[pool])) as worker:
        ids = [enqueue("t.nap", args=[60], timeout=None).id] if pool in ("gevent", "prefork") else []
        until(lambda: Job.objects.filter(id__in=ids, status="running").count() == len(ids), timeout=20)
        with own_redis.stopped():
            time.sleep(4)  # how long it hangs already, not a wait for something: a heartbeat waits for it now
            ends_well(worker, pool)
        assert "without telling Redis" in (tmp_path / "log").read_text()
    for job in Job.objects.filter(id__in=ids):
        assert (job.status, job.attempts, job.losses, Attempt.objects.get(job=job).outcome) == ("pending", 0, 0, "interrupted")


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("prefork", "threads", "solo"))])
def test_a_worker_stops_where_redis_is_gone(tmp_path: Path, own_redis: OwnRedis, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2, REDIS_URL=own_redis.url, JOBS_SHUTDOWN_GRACE=str(GRACE[pool])) as worker:
        own_redis.kill()
        ends_well(worker, pool)
        own_redis.start()


def test_a_child_whose_news_come_late_keeps_no_worker(tmp_path: Path) -> None:
    """Celery's pool has forgotten its job then. How the other jobs ended is read while it stops."""
    log = tmp_path / "log"
    with running_worker(log, "-I", "tests.taskapp.late_acks", pool="prefork", slots=3, JOBS_SHUTDOWN_GRACE="15") as worker:
        ids = enqueue_many("t.gate", [(("told",), {})] * 3)
        until(lambda: Job.objects.filter(id__in=ids, status="running").count() == 3, timeout=20)
        worker.send_signal(signal.SIGTERM)
        until(lambda: "flushed, 2 known" in log.read_text(), timeout=20)
        open_gate("told")
        assert worker.wait(60) == 0
    assert Job.objects.filter(id__in=ids, status="completed").count() == 3
    assert "lost" not in log.read_text()
    assert log.read_text().count("a child ends: 0.") == 3, "as with Celery, not by SIGTERM"


@pytest.mark.parametrize("how", ["killed", pytest.param("stopped", marks=pytest.mark.slow)])
def test_the_heart_goes_on_when_redis_is_back(tmp_path: Path, own_redis: OwnRedis, how: str) -> None:
    """And a beat that Redis did not take is not told later."""
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url):
        assert beats(own_redis, 2)
        if how == "killed":
            own_redis.kill()
            until(lambda: "Redis does not answer" in (tmp_path / "log").read_text(), timeout=30)
            own_redis.start()
        else:
            with own_redis.stopped():
                until(lambda: "Redis does not answer" in (tmp_path / "log").read_text(), timeout=30)
        back = time.time()
        heard = beats(own_redis, 3)
        assert all(beat["timestamp"] > back - 5 for beat in heard), "the socket's timeout"


def beats(redis: OwnRedis, count: int) -> list[dict[str, Any]]:
    """The next heartbeats."""
    heard: list[dict[str, Any]] = []
    with current_app.connection_for_read(redis.broker_url) as connection:
        receiver = current_app.events.Receiver(connection, handlers={"worker-heartbeat": heard.append})
        with suppress(TimeoutError):  # said below
            for _ in receiver.itercapture(limit=None, timeout=30, wakeup=False):
                if len(heard) >= count:
                    break
    assert len(heard) >= count
    return heard
