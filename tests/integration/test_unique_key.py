"""While a job with a unique_key has not ended, that job is returned; whoever asks, and however many at once."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from celery import current_app, group
from django.contrib.auth import get_user_model
from django.db import connection, connections, transaction
from django.test import Client

from jobs import control, enqueue
from jobs.models import Job
from jobs.store import transitions
from jobs.store.insert import NewJob
from jobs.store.sent import insert_sent
from jobs.store.transitions import Run
from tests.rows import job_in
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


def report(**options: Any) -> Job:
    return enqueue("jobs.tasks.sleep", **{"kwargs": {"seconds": 0}, "unique_key": "report-2026"} | options)


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_job_that_has_not_ended_is_returned(status: str) -> None:
    first = job_in(status, unique_key="report-2026")
    again = report(priority=9)
    assert (again.id, again.priority, again.status) == (first.id, 5, status)
    assert report(unique_key="another").id != first.id
    assert Job.objects.count() == 2


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_after_its_end_a_new_one_is_made(status: str) -> None:
    first = job_in(status, unique_key="report-2026")
    assert report().id != first.id


def test_an_empty_key_is_a_key() -> None:
    assert report(unique_key="").id == report(unique_key="").id


def test_many_at_once_make_one_job() -> None:
    def make(_: int) -> int:
        try:
            return report().id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(64)))) == 1
    assert Job.objects.count() == 1


def test_a_retry_keeps_the_key_and_the_end_frees_it(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", JOBS_RETRY_BACKOFF="1"):
        first = enqueue("jobs.tasks.flaky", kwargs={"failures": 1}, unique_key="k")
        until(lambda: Job.objects.get(id=first.id).attempts == 1 and Job.objects.get(id=first.id).status == "pending", timeout=20)
        assert enqueue("jobs.tasks.flaky", kwargs={"failures": 0}, unique_key="k").id == first.id
        until(lambda: Job.objects.get(id=first.id).status == "completed", timeout=20)
        second = enqueue("jobs.tasks.flaky", kwargs={"failures": 0}, unique_key="k")
        assert second.id != first.id
        until(lambda: Job.objects.get(id=second.id).status == "completed", timeout=20)


@pytest.mark.parametrize("way", ["alone", "in a group", "in a transaction"])
def test_an_id_that_is_sent_again_leaves_the_key_to_the_job_that_has_it(way: str) -> None:
    """Two jobs of one key, which a third one has by now."""
    old = [job_in("cancelled", unique_key="k") for _ in range(2)]
    holder = report(unique_key="k")
    calls = [task_of(job).s(0).set(task_id=job.task_id) for job in old]
    if way == "in a group":
        group(calls).apply_async()
    else:
        with transaction.atomic() if way == "in a transaction" else nullcontext():
            for call in calls:
                call.apply_async()
    assert [shown(job) for job in (*old, holder)] == [("pending", None), ("pending", None), ("pending", "k")]
    assert report(unique_key="k").id == holder.id


@pytest.mark.parametrize("ways", [1, 2])
def test_an_id_that_is_sent_again_keeps_a_key_that_is_free(ways: int) -> None:
    """Of two that are sent together one keeps it."""
    old = [job_in("cancelled", unique_key="k") for _ in range(ways)]
    group(task_of(job).s(0).set(task_id=job.task_id) for job in old).apply_async()
    assert {shown(job) for job in old} == {("pending", key) for key in ("k", None)[:ways]}


def test_a_job_that_was_replaced_keeps_its_key() -> None:
    """It is held until the last link is sent under its id: the one that has the key is itself."""
    job = job_in("running", unique_key="k")
    with connection.cursor() as cursor:
        assert transitions.replace(cursor, Run(id=job.id, runs=1))
        assert insert_sent(cursor, NewJob(task="t.add", task_id=job.task_id))
    assert shown(job) == ("pending", "k")
    assert report(unique_key="k").id == job.id


def task_of(job: Job) -> Any:
    return current_app.tasks[job.task]


def shown(job: Job) -> tuple[str, str | None]:
    job.refresh_from_db()
    return job.status, job.unique_key


def test_reprocess_leaves_a_job_whose_key_is_taken(client: Client) -> None:
    old, older = job_in("failed", unique_key="report-2026"), job_in("cancelled", unique_key="report-2026")
    taken = report()
    done = control.reprocess([old.id, older.id], "sara")
    assert (done.done, sorted(done.refused)) == ([], [old.id, older.id])
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    action = {"action": "reprocess_jobs", "_selected_action": [old.id]}
    page = client.post("/admin/jobs/job/", action, follow=True, headers={"accept-language": "en"})
    assert "Another job with the same unique key has not ended." in page.content.decode()
    assert control.cancel([taken.id], "sara").done == [taken.id]
    done = control.reprocess([old.id, older.id], "sara")
    assert (done.done, list(done.refused)) == ([older.id], [old.id]), "of two with one key the newest runs"


def test_reprocess_beside_an_enqueue_is_not_an_error() -> None:
    """The other's INSERT is not committed yet when the key is looked at."""
    old = job_in("failed", unique_key="report-2026")
    other = connection.copy()
    try:
        with ThreadPoolExecutor(1) as pool:
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("INSERT INTO jobs_job (task, unique_key) VALUES ('t.nap', 'report-2026')")
                waiting = pool.submit(_reprocess, old.id)
                until(_somebody_waits, timeout=20)
                cursor.execute("COMMIT")
            assert waiting.result(20).done == []
    finally:
        other.close()


def _reprocess(id: int) -> control.Report:
    try:
        return control.reprocess([id], "sara")
    finally:
        connections.close_all()


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%UPDATE jobs_job%%'"
            " AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])
