"""The faults of servers and workers once more under the pools without greenlets: prefork, threads, solo."""

import os
import signal
import time
from pathlib import Path

import pytest
from django.db import connection

from jobs import enqueue, enqueue_many
from jobs.dev import embedded
from jobs.models import Attempt, DeadLetterQueue, Job, Worker
from tests.integration.test_faults_postgres import all_end_after_one_run, faults, go_through
from tests.integration.test_faults_redis import AGAIN, complete_once, naps, now, seconds_until_next_start
from tests.integration.test_faults_workers import database_behind_a_proxy, is_lock, short_path  # noqa: F401 - a fixture
from tests.own_postgres import Server, inserts, working
from tests.own_redis import OwnRedis
from tests.rows import are, open_gate
from tests.waiting import until
from tests.workers import kill_group, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LOADED = 2
POOLS = ("prefork", "threads", "solo")
IN_SHORT = ("prefork", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("threads", "solo")))


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def slots(pool: str) -> int:
    return 1 if pool == "solo" else 2


@pytest.mark.parametrize("pool", IN_SHORT)
def test_jobs_of_a_killed_worker_run_again_in_time(tmp_path: Path, pool: str) -> None:
    with (
        running_worker(tmp_path / "survivor", "-n", "survivor@here"),
        running_worker(tmp_path / "victim", "-n", "victim@here", "-Q", "own", pool=pool, slots=2, JOBS_LEADER_CHILD="False") as victim,
    ):
        held = enqueue_many("t.nap", [((60,), {})] * slots(pool), queue="own")
        until(lambda: are("running", *held), timeout=30)
        Job.objects.filter(id__in=held).update(queue="celery", task="t.add", args=[1, 2])  # again on the survivor, and short
        before = now()
        kill_group(victim)
        until(lambda: are("completed", *held), timeout=30)
    again = list(Job.objects.filter(id__in=held))
    assert {(job.runs, job.losses, job.attempts) for job in again} == {(2, 1, 1)}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"lost"}
    assert max((job.started_at - before).total_seconds() for job in again if job.started_at) < 3 * LOADED


@pytest.mark.chaos
def test_a_prefork_parent_that_is_killed(tmp_path: Path) -> None:
    """Its children end with it; what they ran runs again."""
    with (
        running_worker(tmp_path / "survivor", "-n", "survivor@here"),
        running_worker(tmp_path / "victim", "-n", "victim@here", "-Q", "own", pool="prefork", slots=2, JOBS_LEADER_CHILD="False") as victim,
    ):
        held = enqueue_many("t.nap", [((4,), {})] * 2, queue="own")
        until(lambda: are("running", *held), timeout=30)
        Job.objects.filter(id__in=held).update(queue="celery")
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: are("completed", *held), timeout=30)
        until(lambda: not Worker.objects.filter(pool="prefork").exists(), timeout=20, what="no row of it is left")
    assert all(job.runs == 1 + job.losses for job in Job.objects.filter(id__in=held))


@pytest.mark.parametrize("pool", IN_SHORT)
def test_without_its_lock_a_worker_admits_nothing(tmp_path: Path, short_path: Path, pool: str) -> None:  # noqa: F811
    with database_behind_a_proxy(short_path) as (between, url), running_worker(tmp_path / "log", pool=pool, slots=2, DATABASE_URL=url):
        first = enqueue_many("t.nap", [((0.1,), {})] * 4)
        until(lambda: are("completed", *first), timeout=20)  # each child has its lock
        between.refuses = is_lock
        assert between.cut(is_lock)
        cut = now()
        waiting = enqueue_many("t.add", [((n, 1), {}) for n in range(8)])
        time.sleep(4)  # how long it stays away
        assert Job.objects.filter(started_at__gt=cut).count() <= 2, "what the cut met on its way into the two slots"
        between.refuses = lambda first: False
        until(lambda: are("completed", *waiting), timeout=60)
    assert not DeadLetterQueue.objects.exists()
    assert set(Job.objects.filter(id__in=waiting).values_list("runs", flat=True)) == {1}


@pytest.mark.parametrize(
    "pool",
    [pytest.param("threads", marks=pytest.mark.slow), *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("prefork", "solo"))],
)
def test_redis_killed_emptied_and_stopped(tmp_path: Path, own_redis: OwnRedis, pool: str) -> None:
    def kill() -> None:
        own_redis.kill()
        time.sleep(1)  # how long it is away
        own_redis.start()

    def stop() -> None:
        with own_redis.stopped():
            time.sleep(5)

    def empty() -> None:
        with own_redis.client() as client:
            client.flushall()

    with running_worker(tmp_path / "log", pool=pool, slots=2, REDIS_URL=own_redis.url) as worker, naps() as stream:
        for fault in (kill, stop, empty):
            until(lambda: Job.objects.filter(status="completed").count() > 10, timeout=30)
            fault()
            assert seconds_until_next_start(now()) < AGAIN * LOADED, fault.__name__
        stream.stop.set()
        complete_once(stream.ids)
        assert worker.poll() is None


@pytest.mark.parametrize("pool", [pytest.param("prefork", marks=pytest.mark.slow), *IN_SHORT[1:]])
def test_postgresql_restarted(own_environ: dict[str, str], data_dir: Path, tmp_path: Path, pool: str) -> None:
    environ = own_environ | embedded.start(data_dir)
    server, taken = Server(data_dir), {}
    with working(server, environ, tmp_path / "log", pool) as worker, inserts(server.url) as stream:
        for name in ("fast", "immediate"):
            taken[name] = go_through(server, stream, faults(server)[name])
        all_end_after_one_run(server, stream, tmp_path / "log")
        assert worker.poll() is None
    assert max(taken.values()) < AGAIN * LOADED, taken


@pytest.mark.parametrize("pool", ["threads", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("prefork", "solo"))])
def test_a_locked_row_holds_up_no_other_job(tmp_path: Path, pool: str) -> None:
    """Of a running and of a waiting job; under solo there is no other slot."""
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        first = enqueue("t.gate", args=["locked"]).id
        until(lambda: are("running", first), timeout=20)
        locked = connection.copy()
        with locked.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [first])
            open_gate("locked")  # now its body ends
            others = enqueue_many("t.nap", [((0.05,), {})] * 20)
            if pool != "solo":
                until(lambda: are("completed", *others), timeout=20)
            cursor.execute("ROLLBACK")
            until(lambda: are("completed", first, *others), timeout=20)
            waits = enqueue("t.add", args=[1, 2], delay=1).id
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [waits])
            until(lambda: (now() - Job.objects.get(id=waits).run_at).total_seconds() > 1, timeout=10)
            more = enqueue_many("t.nap", [((0.05,), {})] * 20)
            until(lambda: are("completed", *more), timeout=20)
            cursor.execute("ROLLBACK")
        locked.close()
        until(lambda: are("completed", waits), timeout=20)
    assert set(Job.objects.values_list("runs", flat=True)) == {1}
