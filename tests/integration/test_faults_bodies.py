"""Bodies that cannot be ended: the job is taken over, its neighbours are released, the process ends itself and is started again."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobs import control, enqueue, enqueue_many
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.worker import ending, sentry
from tests.flows import GET, task
from tests.rows import are
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LOADED = 3.0  # seconds that a loaded machine may add


def only_chaos(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.chaos)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def ended_itself(worker: subprocess.Popen[bytes], log: Path) -> None:
    assert worker.wait(20) == 70
    text = log.read_text()
    assert "CRITICAL" in text
    assert "the process ends itself" in text


@pytest.mark.parametrize("task", ["t.spin", only_chaos("t.block_in_c"), only_chaos("t.swallow")])
def test_a_body_that_cannot_be_ended_is_taken_over(tmp_path: Path, task: str) -> None:
    """With its leader child, which dies with it: the worker itself takes the job away in time."""
    with running_worker(tmp_path / "log") as worker:
        neighbours = [enqueue("t.nap", args=[60]).id for _ in range(3)]
        until(lambda: are("running", *neighbours), timeout=20)
        stuck = enqueue(task, args=[120], timeout=2, max_retries=0).id
        until(lambda: are("running", stuck), timeout=20)
        ended_itself(worker, tmp_path / "log")
    job = Job.objects.get(id=stuck)
    assert (job.status, Attempt.objects.get(job=job).outcome) == ("failed", "timed out")
    assert 4 <= (job.finished_at - job.started_at).total_seconds() < 4 + LOADED
    assert DeadLetterQueue.objects.get().job_id == stuck
    states = set(Job.objects.filter(id__in=neighbours).values_list("status", "attempts", "runs", "losses"))
    assert states == {("pending", 0, 1, 0)}, "released, without spending the attempt"


@pytest.mark.parametrize("pool", ["gevent", *(only_chaos(pool) for pool in ("prefork", "threads", "solo"))])
def test_a_call_that_keeps_the_interpreter_lock_ends_the_process_too(tmp_path: Path, pool: str) -> None:
    """The leader takes the job over; the sentry, in the process beside, ends the one that hangs."""
    with running_worker(tmp_path / "log", pool=pool, slots=2) as worker:
        stuck = enqueue("t.keep_lock", timeout=1, max_retries=0).id
        until(lambda: Job.objects.get(id=stuck).status == "failed", timeout=20, what="the leader takes it over")
        job = Job.objects.get(id=stuck)
        assert (job.finished_at - job.started_at).total_seconds() < 3 + LOADED
        if pool == "prefork":  # the child ends, its parent makes another
            after = enqueue_many("t.add", [((1, 2), {})] * 10)
            until(lambda: Job.objects.filter(id__in=after, status="completed").count() == 10, timeout=30)
            until(lambda: "Current thread" in (tmp_path / "log").read_text(), timeout=sentry.SILENT_S + 2 * LOADED)
            assert worker.poll() is None
        else:
            assert worker.wait(sentry.SILENT_S + 2 * LOADED) == ending.SOFTWARE
    text = (tmp_path / "log").read_text()
    assert "does not answer: a call" in text
    assert "in keep_lock" in text, "the stacks are in the log"


@pytest.mark.parametrize("pool", ["gevent", only_chaos("prefork"), only_chaos("solo")])
def test_whatever_a_body_waits_for_it_is_ended_at_its_deadline(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=4) as worker:
        ways = ["socket", "lock", "program", *(["database"] if pool != "solo" else [])]  # psycopg2 waits in C: a solo process ends itself
        late = enqueue_many("t.hang", [((how,), {}) for how in ways], timeout=1, max_retries=0)
        until(lambda: Job.objects.filter(id__in=late, status="failed").count() == len(ways), timeout=30)
        for job in Job.objects.filter(id__in=late):
            assert Attempt.objects.get(job=job).outcome == "timed out"
            assert 1 <= (job.finished_at - job.started_at).total_seconds() < 1 + LOADED
        after = enqueue_many("t.session", [((), {})] * 8)
        until(lambda: Job.objects.filter(id__in=after, status="completed").count() == 8, timeout=20, what="slots and connections are free")
        assert worker.poll() is None


@pytest.mark.chaos
def test_a_worker_that_was_stopped_past_a_deadline_goes_on(tmp_path: Path) -> None:
    """Its sentry sees that it is stopped."""
    with running_worker(tmp_path / "log") as worker:
        late = enqueue("t.nap", args=[60], timeout=1, max_retries=0).id
        until(lambda: are("running", late), timeout=20)
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            until(lambda: Job.objects.get(id=late).status == "failed", timeout=20, what="the leader takes it over")
            time.sleep(2 * sentry.SILENT_S)
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        after = enqueue("t.add", args=[1, 2]).id
        until(lambda: Job.objects.get(id=after).status == "completed", timeout=20)
        assert worker.poll() is None
    assert "does not answer: a call" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("task", "timeout"), [only_chaos("t.spin", None), ("t.swallow", 600)])
def test_sigterm_ends_a_worker_whose_body_cannot_be_ended(tmp_path: Path, task: str, timeout: int | None) -> None:
    with running_worker(tmp_path / "log", JOBS_SHUTDOWN_GRACE="1") as worker:
        stuck = enqueue(task, args=[120], timeout=timeout).id
        until(lambda: are("running", stuck), timeout=20)
        worker.send_signal(signal.SIGTERM)
        told = time.monotonic()
        ended_itself(worker, tmp_path / "log")
        assert time.monotonic() - told < 1 + 5 + LOADED
    job = Job.objects.get(id=stuck)
    assert (job.status, job.attempts, job.losses) == ("pending", 0, 0)


@pytest.mark.parametrize("pool", [only_chaos("gevent"), "threads", only_chaos("solo")])
def test_sigterm_ends_a_worker_that_cannot_hear_it(tmp_path: Path, pool: str) -> None:
    """A call keeps the interpreter's lock, and the job has no deadline."""
    with running_worker(tmp_path / "log", pool=pool, JOBS_SHUTDOWN_GRACE="1") as worker:
        stuck = enqueue("t.keep_lock", timeout=None).id
        until(lambda: are("running", stuck), timeout=20)
        worker.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert worker.wait(30) == ending.SOFTWARE
        assert time.monotonic() - told < 1 + 5 + LOADED
    text = (tmp_path / "log").read_text()
    assert "past the grace of its stop and does not answer" in text
    assert "in keep_lock" in text


@pytest.mark.parametrize("pool", [pytest.param("prefork", marks=pytest.mark.slow), only_chaos("threads"), only_chaos("solo")])
def test_other_pools_end_what_can_be_ended_at_its_deadline(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2) as worker:
        late = enqueue("t.spin" if pool == "threads" else "t.nap", args=[60], timeout=1, max_retries=0).id
        until(lambda: Job.objects.get(id=late).status == "failed", timeout=20)
        job = Job.objects.get(id=late)
        assert Attempt.objects.get(job=job).outcome == "timed out"
        assert 1 <= (job.finished_at - job.started_at).total_seconds() < 1 + LOADED
        after = enqueue("t.add", args=[1, 2]).id
        until(lambda: Job.objects.get(id=after).status == "completed", timeout=10)
        assert worker.poll() is None


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads", "solo"))])
def test_a_jobs_own_limit_counts_where_celerys_is_later(tmp_path: Path, pool: str) -> None:
    """It was left to Celery's, and the process was ended first."""
    with running_worker(tmp_path / "log", "--time-limit=60", pool=pool, slots=3) as worker:
        body = "t.spin" if pool == "threads" else "t.nap"
        late = enqueue(body, args=[60], timeout=1, max_retries=0).id
        of_task = enqueue("t.limited", args=[60], timeout=1, max_retries=0).id
        beside = enqueue("t.nap", args=[6]).id
        until(lambda: Job.objects.get(id=beside).finished_at, timeout=40)
        assert worker.poll() is None
    assert set(Job.objects.filter(id__in=[late, of_task]).values_list("status", "runs")) == {("failed", 1)}
    assert set(DeadLetterQueue.objects.values_list("error_class", flat=True)) == {"JobTimeout"}
    assert (Job.objects.get(id=beside).status, Job.objects.get(id=beside).runs) == ("completed", 1)


@pytest.mark.chaos
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_other_pools_end_the_process_of_a_body_that_cannot_be_ended(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2) as worker:
        stuck = enqueue("t.swallow" if pool != "threads" else "t.nap", args=[120], timeout=1, max_retries=0).id
        until(lambda: Job.objects.get(id=stuck).status == "failed", timeout=20)
        job = Job.objects.get(id=stuck)
        assert Attempt.objects.get(job=job).outcome == "timed out"
        assert (job.finished_at - job.started_at).total_seconds() < 3 + LOADED
        if pool == "prefork":  # the child ends, its parent makes another
            after = enqueue("t.add", args=[1, 2]).id
            until(lambda: Job.objects.get(id=after).status == "completed", timeout=20)
            assert worker.poll() is None
        else:
            assert worker.wait(20) == 70
    assert "CRITICAL" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads"))])
def test_a_hook_that_hangs_keeps_its_slot_no_longer_than_its_job_may_run(tmp_path: Path, pool: str) -> None:
    """There is one slot; whichever keeps it keeps it from all that follow."""
    log = tmp_path / "log"
    with running_worker(log, pool=pool, slots=1):
        hooks = {"before_start": 0, "on_failure": 0, "on_retry": 1, "after_return": 0}
        for name, most in hooks.items():
            enqueue("t.with_hanging_hooks", args=[name], timeout=1, max_retries=most, priority=9)
        cancelled = enqueue("t.with_hanging_hooks", args=["before_start"], priority=8)
        until(lambda: Job.objects.get(id=cancelled.id).status == "running", timeout=GET)
        control.cancel([cancelled.id], by="sara")
        assert task("same").apply_async((1,), priority=0).get(timeout=GET) == 1
    found = [(job.status, job.runs, job.last_error.partition(":")[0]) for job in Job.objects.filter(id__lte=cancelled.id).order_by("id")]
    assert found == [
        ("failed", 1, "JobTimeout"), ("failed", 1, "ValueError"), ("failed", 2, "ValueError"), ("failed", 1, "ValueError"),
        ("cancelled", 1, "JobCancelled"),
    ]  # fmt: skip
    said = log.read_text()
    assert [f"its {name} took longer than the job's time limit" in said for name in hooks] == [False, True, True, True]
    assert "ends itself" not in said
