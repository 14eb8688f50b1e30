"""Jobs that kill their worker each time: buried after JOBS_MAX_LOST runs, and no other job with them."""

import os
import signal
from pathlib import Path

import pytest

from jobs import control, enqueue, enqueue_many
from jobs.dev import embedded
from jobs.models import Attempt, DeadLetterQueue, Job, Worker
from tests.integration.test_lost_servers import asker
from tests.integration.test_up import up
from tests.waiting import until
from tests.workers import ROOT, running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def run_until_all_ended(tmp_path: Path, *, pool: str = "gevent") -> int:
    """A worker, started again whenever it dies; how many there were."""
    for number in range(1, 20):
        with running_worker(tmp_path / f"log-{number}", pool=pool) as worker:
            until(lambda worker=worker: worker.poll() is not None or _all_ended(), timeout=60)  # type: ignore[misc]
            if worker.poll() is None:
                return number
    raise AssertionError("the workers die without end")


def _all_ended() -> bool:
    return not Job.objects.filter(finished_at__isnull=True).exists()


def check(poison: list[int], innocent: list[int]) -> None:
    for job in Job.objects.filter(id__in=poison):
        assert (job.status, job.runs, job.losses, job.attempts) == ("failed", 3, 3, 0)
        assert list(Attempt.objects.filter(job=job).values_list("outcome", flat=True)) == ["lost"] * 3
    assert set(DeadLetterQueue.objects.values_list("job_id", "error_class")) == {(id, "WorkerLost") for id in poison}
    assert set(Job.objects.filter(id__in=innocent).values_list("status", flat=True)) == {"completed"}


@pytest.mark.slow
def test_two_jobs_that_kill_their_worker_and_a_hundred_innocent_ones(tmp_path: Path) -> None:
    first = enqueue_many("t.nap", [((0.2,), {})] * 50)
    poison = [enqueue("t.die", args=["exit"], max_retries=0).id, enqueue("t.die", args=["kill"], max_retries=None).id]
    innocent = first + enqueue_many("t.nap", [((0.2,), {})] * 50)
    workers = run_until_all_ended(tmp_path)
    check(poison, innocent)
    assert 3 < workers <= 7, "each of the two kills three, some of them together"


@pytest.mark.chaos
def test_two_that_do_not_meet_bury_no_neighbour(tmp_path: Path) -> None:
    """The second one is fresh while the neighbours of the first are already suspected."""
    innocent = enqueue_many("t.nap", [((1.5,), {})] * 3, priority=9)
    poison = [enqueue("t.die", args=["segfault"], priority=9).id]
    innocent += enqueue_many("t.nap", [((0.3,), {})] * 40)
    poison += [enqueue("t.die", args=["exit"], priority=1).id for _ in range(2)]
    run_until_all_ended(tmp_path)
    check(poison, innocent)


@pytest.mark.chaos
def test_under_prefork_only_the_child_dies(tmp_path: Path) -> None:
    poison = [enqueue("t.die", args=[how]).id for how in ("exit", "segfault")]
    innocent = enqueue_many("t.nap", [((0.2,), {})] * 40)
    assert run_until_all_ended(tmp_path, pool="prefork") == 1
    check(poison, innocent)
    assert set(Job.objects.filter(id__in=innocent).values_list("losses", flat=True)) == {0}


def test_under_prefork_a_killed_child_is_a_lost_run(tmp_path: Path) -> None:
    """As the kernel does it when memory is short."""
    with running_worker(tmp_path / "log", pool="prefork", slots=2):
        job = enqueue("t.nap", args=[4]).id
        until(lambda: Job.objects.get(id=job).status == "running", timeout=20)
        os.kill(Worker.objects.get(id=Job.objects.get(id=job).worker).pid, signal.SIGKILL)
        until(lambda: Job.objects.get(id=job).status == "completed", timeout=40, what="it runs again and completes")
    row = Job.objects.get(id=job)
    assert (row.runs, row.losses, row.attempts) == (2, 1, 1)
    assert Attempt.objects.get(job=job).outcome == "lost"


def test_a_long_job_that_lost_two_workers_does_not_keep_the_other_slots_empty(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", EXTRA_INSTALLED_APPS="tests.taskapp,tests.brokenapp", BREAK="patience"):
        long = enqueue("t.nap", args=[60], priority=9)
        until(lambda: Job.objects.get(id=long.id).status == "running", timeout=20)
        suspect = enqueue("t.nap", args=[60], delay=1)
        Job.objects.filter(id=suspect.id).update(losses=2)
        until(lambda: Job.objects.get(id=suspect.id).status == "running", timeout=20, what="it does not wait for the long job's end")
        innocent = enqueue_many("t.nap", [((0.01,), {})] * 8)
        until(lambda: Job.objects.filter(id__in=innocent, status="completed").count() == 8, timeout=20, what="the other slots are used")
        assert Job.objects.filter(id__in=[long.id, suspect.id], status="running").count() == 2
        control.cancel([long.id, suspect.id], "sara")
        until(_all_ended, timeout=20)


@pytest.mark.chaos
def test_make_up_goes_on(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    """A job that kills its worker each time and one that never switches: the supervisor starts the worker again, and it takes jobs."""
    environ = own_environ | {"EXTRA_INSTALLED_APPS": "tests.taskapp", "PYTHONPATH": str(ROOT), "JOBS_RETRY_BACKOFF": "0.2"}
    with up(environ, tmp_path / "up") as running:
        running.says("ready: ", timeout=90)
        ask = asker(embedded.running(data_dir)["DATABASE_URL"])
        for number, job in enumerate(("'t.spin', '[60]', 1", "'t.die', '[\"kill\"]', 60"), 1):
            ask(f"INSERT INTO jobs_job (task, args, timeout, max_retries) VALUES ({job}, 0)")
            until(lambda many=number: ask("SELECT count(*) FROM jobs_job WHERE status = 'failed'") == many, timeout=120, what=job)  # type: ignore[misc]
        ask("INSERT INTO jobs_job (task, args) SELECT 't.add', '[1, 2]' FROM generate_series(1, 20)")
        until(lambda: ask("SELECT count(*) FROM jobs_job WHERE status = 'completed'") == 20, timeout=60)
        assert "worker ended (exit 70), starting it again" in running.text()
        assert running.process.poll() is None
        running.stop()
    assert "CRITICAL" in running.text()
