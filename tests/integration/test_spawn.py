"""Prefork whose children are spawned, not forked: `worker_pool_start_method = "spawn"`, and what billiard does by itself on macOS."""

import os
import signal
from pathlib import Path

import pytest

from jobs import enqueue, enqueue_many
from jobs.models import Attempt, Job, Worker
from jobs.worker import sentry
from tests.waiting import until
from tests.workers import running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
SPAWN = settings_of(CELERY_WORKER_POOL_START_METHOD="spawn", CELERY_WORKER_PROC_ALIVE_TIMEOUT=60)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def number(*ids: int, status: str) -> int:
    return Job.objects.filter(id__in=ids, status=status).count()


def test_children_run_jobs_under_their_worker(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", pool="prefork", slots=2, **SPAWN) as worker:
        done, failing = enqueue("t.add", args=[1, 2]).id, enqueue("t.permanent").id
        until(lambda: number(done, status="completed") and number(failing, status="failed"), timeout=60)
        parent = Worker.objects.get(pid=worker.pid).pk
        assert set(Worker.objects.filter(id__in=Job.objects.values("worker")).values_list("parent", flat=True)) == {parent}
    assert worker.returncode == 0
    assert not Worker.objects.exists(), "they leave with their worker"


@pytest.mark.slow
def test_what_a_killed_child_ran_is_lost_and_runs_again(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", pool="prefork", slots=2, **SPAWN):
        held = enqueue_many("t.nap", [((6,), {})] * 2)
        until(lambda: number(*held, status="running") == 2, timeout=60)
        os.kill(Worker.objects.get(id=Job.objects.get(id=held[0]).worker).pid, signal.SIGKILL)
        until(lambda: number(*held, status="completed") == 2, timeout=60)
    assert list(Job.objects.filter(id__in=held).order_by("id").values_list("runs", "losses", "attempts")) == [(2, 1, 1), (1, 0, 1)]
    assert Attempt.objects.get(job__in=held).outcome == "lost"


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_gives_back_what_its_children_run(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", pool="prefork", slots=2, JOBS_SHUTDOWN_GRACE="2", **SPAWN) as worker:
        short, long = enqueue("t.nap", args=[1]).id, enqueue("t.nap", args=[60], timeout=None).id
        until(lambda: number(short, long, status="running") == 2, timeout=60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    given_back = Job.objects.get(id=long)
    assert (Job.objects.get(id=short).status, given_back.status, given_back.attempts, given_back.losses) == ("completed", "pending", 0, 0)
    assert not Worker.objects.exists()


@pytest.mark.slow
def test_the_sentry_ends_one_that_keeps_the_interpreter_lock(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", pool="prefork", slots=2, **SPAWN) as worker:
        stuck = enqueue("t.keep_lock", timeout=1, max_retries=0).id
        until(lambda: number(stuck, status="failed") == 1, timeout=60)
        until(lambda: "Current thread" in (tmp_path / "log").read_text(), timeout=2 * sentry.SILENT_S)
        after = enqueue_many("t.add", [((1, 2), {})] * 10)
        until(lambda: number(*after, status="completed") == 10, timeout=60)
        assert worker.poll() is None
    assert "does not answer: a call" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Its children end with it, and with them their rows."""
    with (
        running_worker(tmp_path / "survivor", "-n", "survivor@here"),
        running_worker(
            tmp_path / "victim", "-n", "victim@here", "-Q", "own", pool="prefork", slots=2, JOBS_LEADER_CHILD="False", **SPAWN
        ) as victim,
    ):
        held = enqueue_many("t.nap", [((4,), {})] * 2, queue="own")
        until(lambda: number(*held, status="running") == 2, timeout=60)
        Job.objects.filter(id__in=held).update(queue="celery")
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: number(*held, status="completed") == 2, timeout=60)
        until(lambda: not Worker.objects.filter(pool="prefork").exists(), timeout=20, what="no row of it is left")
