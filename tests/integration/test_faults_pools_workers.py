"""The faults of workers themselves under the pools without greenlets: stopped, told to stop, killed by their own jobs."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from jobs import enqueue, enqueue_many
from jobs.models import Attempt, Job
from tests.integration.test_faults_poison import check, run_until_all_ended
from tests.integration.test_faults_pools import POOLS, slots
from tests.integration.test_faults_workers import told
from tests.rows import are, open_gate
from tests.waiting import until
from tests.workers import running_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos]
LOADED = 2
GRACE = 3


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@contextmanager
def stopped(worker: subprocess.Popen[bytes]) -> Iterator[None]:
    """The worker with its children, while the block runs."""
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGCONT)


def cut_locks(name: str) -> int:
    """End the sessions of the worker's locks, as if it had died; how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE %s", [f"jobs-worker-life {name}%"]
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("pool", POOLS)
def test_a_stopped_worker_keeps_its_jobs(tmp_path: Path, pool: str) -> None:
    """No second run while its lock is held: it goes on where it was."""
    with (
        running_worker(tmp_path / "other", "-n", "other@here"),
        running_worker(tmp_path / "stopped", "-n", "stopped@here", "-Q", "own", pool=pool, slots=2, JOBS_LEADER_CHILD="False") as worker,
    ):
        held = enqueue_many("t.nap", [((2,), {})] * slots(pool), queue="own", timeout=None)
        until(lambda: are("running", *held), timeout=30)
        Job.objects.filter(id__in=held).update(queue="celery")  # who is free could run them
        with stopped(worker):
            time.sleep(6)  # far longer than a dead worker is given
            assert are("running", *held)
        until(lambda: are("completed", *held), timeout=20)
        after = enqueue("t.add", args=[1, 2], queue="own").id
        until(lambda: are("completed", after), timeout=20)
        assert worker.poll() is None
    assert set(Job.objects.values_list("runs", "losses")) == {(1, 0)}


@pytest.mark.parametrize("pool", POOLS)
def test_a_late_result_of_other_pools_is_refused_and_shown(tmp_path: Path, pool: str) -> None:
    """Its locks are lost while it is stopped: the job runs again elsewhere, the first result comes too late."""
    with (
        running_worker(tmp_path / "other", "-n", "other@here"),
        running_worker(tmp_path / "stopped", "-n", "stopped@here", "-Q", "own", pool=pool, slots=2, JOBS_LEADER_CHILD="False") as worker,
    ):
        job = enqueue("t.nap_and_add", args=[1.5, 1], queue="own", timeout=None).id
        until(lambda: are("running", job), timeout=30)
        Job.objects.filter(id=job).update(queue="celery")
        with stopped(worker):
            assert cut_locks("stopped@here")
            until(lambda: are("completed", job), timeout=30)
        until(lambda: "arrived later and was refused" in Attempt.objects.get(job=job, run=1).message, timeout=20)
        after = enqueue("t.add", args=[1, 2], queue="own").id
        until(lambda: are("completed", after), timeout=20, what="it has its lock again")
        assert worker.poll() is None
    found = Job.objects.get(id=job)
    assert (found.status, found.runs, found.losses, found.result) == ("completed", 2, 1, 2)
    assert "came late and was refused" in (tmp_path / "stopped").read_text()


TOLD = [(pool, how) for pool in ("gevent", *POOLS) for how in ("twice", "SIGINT", "control") if (pool, how) != ("solo", "control")]


@pytest.mark.parametrize(("pool", "how"), TOLD)
def test_a_worker_of_each_pool_that_is_told_to_stop(tmp_path: Path, pool: str, how: str) -> None:
    """Nothing more is admitted, though a slot is free; running jobs have the grace, the rest runs again at once elsewhere; exit code 0."""
    with (
        running_worker(tmp_path / "stays", "-n", "stays@here"),
        running_worker(
            tmp_path / "ends", "-n", "ends@here", "-Q", "own", pool=pool, slots=3, JOBS_LEADER_CHILD="False", JOBS_SHUTDOWN_GRACE=str(GRACE)
        ) as ends,
    ):
        short = enqueue_many("t.gate", [(("told",), {})] * (slots(pool) - 1), queue="own")
        long = enqueue("t.longest_gap", args=[60], queue="own", timeout=None).id
        until(lambda: are("running", *short, long), timeout=30)
        Job.objects.filter(id=long).update(queue="celery", task="t.add", args=[1, 2])  # again on the one that stays, and short
        begin = time.monotonic()
        told(how, ends)
        open_gate("told")  # these end within the grace
        after = enqueue("t.add", args=[1, 2], queue="own").id
        assert ends.wait(GRACE + 5 * LOADED) == 0
        assert GRACE - 1 < time.monotonic() - begin < GRACE + 5 * LOADED
        until(lambda: are("completed", *short, long), timeout=20)
    assert set(Job.objects.filter(id__in=short).values_list("runs", flat=True)) <= {1}
    assert (Job.objects.get(id=after).status, Job.objects.get(id=after).runs) == ("pending", 0)
    job, given_back = Job.objects.get(id=long), Attempt.objects.get(job=long)
    assert (job.runs, job.attempts, job.losses, given_back.outcome) == (2, 1, 0, "interrupted")
    assert (job.started_at - given_back.finished_at).total_seconds() < 2 * LOADED


def test_solo_hears_remote_control_between_two_jobs(tmp_path: Path) -> None:
    """It has one thread for both; a signal is heard at once."""
    with running_worker(tmp_path / "log", "-n", "ends@here", pool="solo") as worker:
        job = enqueue("t.gate", args=["told"]).id
        until(lambda: are("running", job), timeout=30)
        told("control", worker)
        open_gate("told")
        assert worker.wait(5 * LOADED) == 0
    assert are("completed", job)


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_jobs_that_kill_their_worker_are_buried_and_the_others_complete(tmp_path: Path, pool: str) -> None:
    """Under threads they are not run alone: a neighbour may lose runs with them."""
    innocent = enqueue_many("t.nap", [((0.2,), {})] * 20)
    poison = [enqueue("t.die", args=["exit"], max_retries=0).id]
    innocent += enqueue_many("t.nap", [((0.2,), {})] * 20)
    assert run_until_all_ended(tmp_path, pool=pool) == 4, "it kills three"
    check(poison, innocent)
