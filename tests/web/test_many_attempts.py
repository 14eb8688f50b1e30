"""Of a job that is tried again and again the first attempt and the newest ones are kept; the pages say how many are not."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from jobs import enqueue
from jobs.domain.outcomes import KEPT
from jobs.models import Attempt, Job
from jobs.store import clock, transitions
from jobs.store.transitions import Failure, Run
from tests.rows import job_in

pytestmark = pytest.mark.django_db
AGAIN = Failure(error_class="Retry", message="again")


def tried(times: int, first: int = 1) -> Job:
    """A job whose runs have failed, and wait to be tried again."""
    job = enqueue("jobs.tasks.sleep", args=[0], max_retries=None)
    Job.objects.filter(id=job.id).update(runs=first - 1)
    with connection.cursor() as cursor:
        for run in (Run(id=job.id, runs=number) for number in range(first, first + times)):
            assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
            assert transitions.retry(cursor, run, AGAIN, delay=0)
    return job


def runs_of(job: Job) -> list[int]:
    return list(Attempt.objects.filter(job=job).order_by("run").values_list("run", flat=True))


@pytest.mark.parametrize("is_text", [False, True])
@pytest.mark.parametrize(("hours", "pause"), [(2, 7200.0), (-2, 0.0)])
def test_the_pause_before_a_retry_at_a_time_is_recorded(hours: int, pause: float, is_text: bool) -> None:
    job = job_in("running")
    with connection.cursor() as cursor:
        due: Any = clock.now(cursor) + timedelta(hours=hours)
        due = due.isoformat() if is_text else due  # Celery takes both
        assert transitions.retry(cursor, Run(id=job.id, runs=1), AGAIN, delay=0, run_at=due)
    assert Attempt.objects.get(job=job).delay == pytest.approx(pause, abs=30)


def test_the_first_attempt_and_the_newest_are_kept() -> None:
    other, job = tried(2), tried(KEPT + 5, first=3)
    assert runs_of(job) == [3, *range(8, KEPT + 8)]
    assert runs_of(other) == [1, 2]
    job.refresh_from_db()
    assert (job.attempts, job.runs) == (KEPT + 5, KEPT + 7)


@pytest.mark.parametrize(
    ("language", "times", "text"),
    [
        ("en", KEPT + 2, "1 more run after the first (details not kept)"),
        ("en", KEPT + 8, "7 more runs after the first (details not kept)"),
        ("ar", KEPT + 3, "مرتان أخريان بعد الأولى، لم تُحفظ تفاصيلهما"),
    ],
)
def test_the_pages_say_how_many_are_not(sara: Client, language: str, times: int, text: str) -> None:
    job = tried(times)
    sara.cookies["django_language"] = language
    for address in (f"/jobs/{job.id}/", f"/admin/jobs/job/{job.id}/change/"):
        assert text in sara.get(address).content.decode(), address


def test_they_say_nothing_where_all_are_kept(sara: Client) -> None:
    job = tried(KEPT + 1)
    for address in (f"/jobs/{job.id}/", f"/admin/jobs/job/{job.id}/change/"):
        assert "details not kept" not in sara.get(address).content.decode(), address
