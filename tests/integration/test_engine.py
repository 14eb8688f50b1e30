"""Jobs run to their end in a real worker: accepted, claimed, completed, retried, buried, rescued."""

import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from jobs import control, enqueue, enqueue_many
from jobs.models import Attempt, DeadLetterQueue, Job, Worker
from tests.rows import open_gate
from tests.standing import on
from tests.waiting import until
from tests.workers import kill_group, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
FAST = {"JOBS_RETRY_BACKOFF": "0.2"}
ON_GEVENT = on(**FAST)


@pytest.fixture(autouse=True)
def _tasks(settings: Any) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def ended(*ids: int, timeout: float = 30) -> list[Job]:
    until(lambda: Job.objects.filter(id__in=ids, finished_at__isnull=False).count() == len(ids), timeout=timeout)
    return [Job.objects.get(id=id) for id in ids]


@ON_GEVENT
def test_a_job_inserted_every_way_there_is_completes(standing_worker: str) -> None:
    first = enqueue("t.add", kwargs={"x": 1, "y": 2}).id
    many = enqueue_many("t.add", [((1, 1), {}), ((2, 2), {})])
    sent = current_app.tasks["t.add"].delay(20, 3)
    with connection.cursor() as cursor:
        cursor.execute("""INSERT INTO jobs_job (name, task, args, kwargs) VALUES ('plain', 't.add', '[4, 5]', '{}') RETURNING id""")
        plain = cursor.fetchone()[0]
    by_delay = Job.objects.get(task_id=sent.id).id
    assert [job.result for job in ended(first, *many, by_delay, plain)] == [3, 2, 4, 23, 9]
    assert sent.get(timeout=5) == 23


@ON_GEVENT
def test_a_failing_job_is_retried_with_growing_pauses_and_buried(standing_worker: str, standing_log: Path) -> None:
    (job,) = ended(enqueue("jobs.tasks.fail", max_retries=2, name="fails").id)
    assert (job.status, job.permanently_failed, job.attempts, job.runs) == ("failed", True, 3, 3)
    delays = list(Attempt.objects.filter(job=job).order_by("run").values_list("delay", flat=True))
    assert 0.2 <= delays[0] < delays[1] <= 0.44
    assert delays[2] is None
    entry = DeadLetterQueue.objects.get(job=job)
    assert (entry.error_class, entry.attempts) == ("DeliberateFailure", 3)
    assert "Traceback" in entry.traceback
    until(lambda: "ADMIN_EMAILS" in DeadLetterQueue.objects.get(job=job).notify_error, timeout=10)
    assert re.search(rf"CRITICAL.* job {job.id} .* is in the Dead Letter Queue", standing_log.read_text(), re.IGNORECASE)


@ON_GEVENT
def test_errors_that_are_final_go_straight_to_the_dead_letter_queue(standing_worker: str) -> None:
    ids = [enqueue("t.permanent").id, enqueue("t.unjsonable").id, enqueue("jobs.tasks.fail", max_retries=0).id]
    jobs = ended(*ids)
    assert [(job.status, job.attempts) for job in jobs] == [("failed", 1)] * 3
    assert "not JSON" in jobs[1].last_error
    assert DeadLetterQueue.objects.count() == 3
    (nul,) = ended(enqueue("jobs.tasks.fail", args=["a\0b"], max_retries=0).id)  # JSON may hold what a text column may not
    assert DeadLetterQueue.objects.get(job=nul).message == "a\ufffdb"


@ON_GEVENT
def test_retry_progress_and_failure_inside_a_transaction(standing_worker: str) -> None:
    again, fails = enqueue("t.retry_inside").id, enqueue("t.fails_inside", max_retries=1).id
    first, second = ended(again, fails)
    assert (first.status, first.result, first.runs) == ("completed", 2, 3)
    assert first.progress == {"fraction": 0.5, "message": "half"}
    assert (second.status, second.attempts) == ("failed", 2)
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["run-2"]


@ON_GEVENT
def test_reprocess_runs_a_buried_job_again(standing_worker: str) -> None:
    (job,) = ended(enqueue("jobs.tasks.fail", max_retries=0).id)
    with transaction.atomic():  # no worker may bury it again before the second click
        assert control.reprocess([job.id], "sara").done == [job.id]
        assert control.reprocess([job.id], "sara").done == []
    until(lambda: DeadLetterQueue.objects.filter(job=job).count() == 2, timeout=20)
    assert set(DeadLetterQueue.objects.values_list("resolution", flat=True)) == {"reprocessed", "open"}


@pytest.mark.parametrize("prefetch", ["1", pytest.param("0", marks=pytest.mark.slow), pytest.param("16", marks=pytest.mark.slow)])
def test_exactly_four_at_a_time_in_strict_order_of_priority(tmp_path: Path, prefetch: str) -> None:
    """Whatever the settings say: 0 is no limit in Celery."""
    with running_worker(tmp_path / "log", "--prefetch-multiplier", prefetch):
        ids = enqueue_many("t.nap", [((0.05,), {})] * 80, priorities=[n % 10 for n in range(80)])
        jobs = ended(*ids)
        starts = sorted(jobs, key=lambda job: (job.started_at, -job.priority, job.id))
        order = [(-job.priority, job.id) for job in starts]
        assert order == sorted(order)
        assert at_once(jobs) == 4


@ON_GEVENT
def test_a_job_over_its_time_limit_fails_as_timed_out(standing_worker: str) -> None:
    (job,) = ended(enqueue("t.nap", args=[30], timeout=1, max_retries=0).id)
    assert (job.status, Attempt.objects.get(job=job).outcome) == ("failed", "timed out")
    assert job.finished_at - job.started_at < timedelta(seconds=3)


@ON_GEVENT
def test_a_running_job_is_cancelled(standing_worker: str) -> None:
    job = enqueue("t.nap", args=[30])
    until(lambda: Job.objects.get(id=job.id).status == "running", timeout=10)
    assert control.cancel([job.id], "sara").done == [job.id]
    assert ended(job.id, timeout=5)[0].status == "cancelled"


@pytest.mark.slow  # tests/integration/test_faults_kills.py asks for the same, and for how long it takes
def test_jobs_of_a_killed_worker_run_again_elsewhere(tmp_path: Path) -> None:
    with running_worker(tmp_path / "a") as first:
        ids = enqueue_many("t.nap", [((2,), {})] * 4)
        until(lambda: Job.objects.filter(status="running").count() == 4, timeout=40)
        kill_group(first)
        with running_worker(tmp_path / "b"):
            jobs = ended(*ids)
            assert {(job.status, job.losses, job.attempts, job.runs) for job in jobs} == {("completed", 1, 1, 2)}
            assert set(Attempt.objects.values_list("outcome", flat=True)) == {"lost"}
            assert Worker.objects.count() == 1


def test_shutdown_releases_what_still_runs_without_spending_the_attempt(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", JOBS_SHUTDOWN_GRACE="1") as worker:
        job = enqueue("t.nap", args=[60])
        until(lambda: Job.objects.get(id=job.id).status == "running", timeout=40)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
        job = Job.objects.get(id=job.id)
        assert (job.status, job.attempts, job.runs) == ("pending", 0, 1)


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 3), ("solo", 1)])
def test_other_pools_run_jobs_too(tmp_path: Path, pool: str, slots: int) -> None:
    """Exactly as many at once as there are slots; the log says at the start what is less strict."""
    with running_worker(tmp_path / "log", pool=pool, slots=max(slots, 2), **FAST):
        assert until(lambda: list(Worker.objects.filter(parent=None).values_list("concurrency", flat=True)), timeout=10) == [slots]
        naps = enqueue_many("t.nap", [((0.3,), {})] * (slots * 4))
        ids = enqueue_many("t.add", [((1, n), {}) for n in range(20)])
        (fails,) = [enqueue("jobs.tasks.fail", max_retries=1).id]
        *jobs, failed = ended(*ids, fails)
        assert [job.result for job in jobs] == [1 + n for n in range(20)]
        assert (failed.status, failed.attempts) == ("failed", 2)
        assert at_once([*ended(*naps), *jobs]) == slots
    assert f"exactly {slots} at a time; jobs that are fetched at the same moment" in (tmp_path / "log").read_text()


def at_once(jobs: list[Job]) -> int:
    """The most that ran at the same moment, by the database's clock."""
    spans = [(job.started_at, job.finished_at) for job in jobs if job.started_at and job.finished_at]
    return max(sum(began <= start < ended for began, ended in spans) for start, _ in spans)


@ON_GEVENT
def test_a_locked_row_delays_its_own_job_only_and_no_fifth_job_runs(standing_worker: str) -> None:
    locked = enqueue("t.gate", args=["locked"], priority=9).id
    until(lambda: Job.objects.get(id=locked).status == "running", timeout=10)
    with transaction.atomic():
        Job.objects.select_for_update().get(id=locked)
        open_gate("locked")  # now its body ends
        others = enqueue_in_another_session(40)
        seen = watch_running(lambda: Job.objects.filter(id__in=others, status="completed").count() == 40)
        assert Job.objects.get(id=locked).status == "running"
    assert max(seen) <= 4
    assert ended(locked)[0].status == "completed"


def enqueue_in_another_session(count: int) -> list[int]:
    """Committed at once, unlike what this test's open transaction does."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(
                """INSERT INTO jobs_job (task, args) SELECT 't.nap', '[0.05]' FROM generate_series(1, %s) RETURNING id""", [count]
            )
            return [row[0] for row in cursor.fetchall()]
    finally:
        other.close()


def watch_running(over: Callable[[], bool]) -> list[int]:
    """How many jobs were running, at each look, until `over`."""
    seen = []

    def look() -> bool:
        seen.append(Job.objects.filter(status="running").count())
        return over()

    until(look, timeout=30)
    return seen


@ON_GEVENT
def test_a_job_that_expired_is_cancelled(standing_worker: str) -> None:
    sent = current_app.tasks["t.add"].apply_async((1, 2), expires=datetime(2001, 1, 1, tzinfo=UTC))
    job = Job.objects.get(task_id=sent.id)
    assert ended(job.id)[0].status == "cancelled"
