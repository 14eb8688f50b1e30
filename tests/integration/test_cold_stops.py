"""A worker that is told to end at once, by SIGQUIT or a second Ctrl-C: what it runs is given back without a grace."""

import signal
import time
from pathlib import Path

import pytest

from jobs import enqueue, enqueue_many
from jobs.models import Attempt, Job
from jobs.worker.ending import SOFTWARE
from tests.waiting import until
from tests.workers import running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
FAILURE = 1  # stock Celery's exit code is mostly 0


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.mark.parametrize("how", ["SIGQUIT", pytest.param("Ctrl-C twice", marks=pytest.mark.slow)])
@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads", "solo"))])
def test_what_runs_is_given_back_at_once(tmp_path: Path, pool: str, how: str) -> None:
    log = tmp_path / "log"
    soft = settings_of(CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT=20) if pool == "gevent" else {}
    slots = 1 if pool == "solo" else 4
    with running_worker(log, "-E", pool=pool, slots=slots, **soft) as worker:
        # A thread hears of it once it is back from a call of C.
        ids = enqueue_many("t.longest_gap" if pool == "threads" else "t.nap", [((60,), {})] * slots)
        until(lambda: Job.objects.filter(id__in=ids, status="running").count() == slots, timeout=20)
        if how == "SIGQUIT":
            worker.send_signal(signal.SIGQUIT)
        else:
            worker.send_signal(signal.SIGINT)
            until(lambda: "again will initiate cold shutdown" in log.read_text(), timeout=10)
            worker.send_signal(signal.SIGINT)
        told = time.monotonic()
        code = worker.wait(60)
        assert time.monotonic() - told < 10, "the grace is 25 s"
    assert "Traceback" not in log.read_text()
    assert code == FAILURE
    jobs = Job.objects.filter(id__in=ids)
    assert {(job.status, job.attempts, job.losses) for job in jobs} == {("pending", 0, 0)}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"interrupted"}


def test_a_body_that_never_switches_does_not_keep_it(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log") as worker:
        for task in ("t.nap", "t.spin"):
            id = enqueue(task, args=[60]).id
            until(lambda id=id: Job.objects.get(id=id).status == "running", timeout=20)
        worker.send_signal(signal.SIGQUIT)
        told = time.monotonic()
        assert worker.wait(60) == SOFTWARE
        assert time.monotonic() - told < 15, "the grace is 25 s"
    assert set(Job.objects.values_list("status", "attempts")) == {("pending", 0)}
