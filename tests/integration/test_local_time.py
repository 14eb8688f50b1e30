"""Jobs of a project with USE_TZ off, in a zone far from UTC (the pages of one are in tests/web): each is due, and expires, in time."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import chain
from django.db import connection

from jobs import enqueue
from jobs.domain.moments import aware
from jobs.models import Attempt, Job
from tests.flows import job_of, s, task
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ZONE = "America/New_York"


@pytest.fixture(autouse=True)
def _local_time(settings: Any) -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    connection.close()
    settings.USE_TZ, settings.TIME_ZONE = False, ZONE
    yield
    connection.close()


def test_what_is_due_later_or_expires_does_so_in_time(tmp_path: Path) -> None:
    """A message is reckoned with by those who send it, and by the workers that send a link or run a job again."""
    with running_worker(tmp_path / "log", DJANGO_SETTINGS_MODULE="tests.taskapp.local_time", TIME_ZONE=ZONE):
        called = task("add").apply_async((1, 2), countdown=2)
        made = enqueue("t.add", args=[1, 2], delay=2)
        expiring = task("add").apply_async((1, 2), expires=30)
        last = chain(s("add", 1, 2), s("add", 3).set(countdown=2), s("add", 4).set(expires=30)).apply_async()
        again = enqueue("t.retry_inside", max_retries=2)
        failing = enqueue("jobs.tasks.fail", max_retries=1)
        until(lambda: not Job.objects.exclude(status__in=("completed", "failed", "cancelled")).exists() and _ended(last), timeout=60)
    rows = {job.pk: job for job in Job.objects.all()}
    assert {job.status for job in rows.values() if job.pk != failing.pk} == {"completed"}
    assert rows[failing.pk].status == "failed"
    for job in (rows[job_of(called).pk], rows[made.pk], rows[job_of(last.parent).pk]):
        assert job.started_at is not None
        assert timedelta(seconds=1.9) < job.started_at - job.created_at < timedelta(seconds=20)
    assert Attempt.objects.filter(job=again.pk).count() == 2
    assert job_of(expiring).result == 3
    assert job_of(last).result == 10


def test_a_time_without_a_zone_is_in_utc_whatever_zone_the_sessions_have(tmp_path: Path) -> None:
    """As Celery reads it; said by a caller, in the link of a chain, by a run that asks for another, and by a string."""
    with running_worker(tmp_path / "log", DJANGO_SETTINGS_MODULE="tests.taskapp.local_time", TIME_ZONE=ZONE, PGTZ="Asia/Tokyo"):
        soon = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=2)
        called = [task("add").apply_async((1, 2), eta=soon), task("add").apply_async((1, 2), eta=soon.isoformat())]
        last = chain(s("add", 1, 2), s("add", 3).set(eta=soon)).apply_async()
        again = task("retry_at").delay(2)
        until(lambda: _ended(last) and _ended(again) and all(map(_ended, called)), timeout=60)
        until(lambda: re.search(r"attempt failed \(\w+\), again at \d{4}-", (tmp_path / "log").read_text()), timeout=20)
    attempt = Attempt.objects.get()
    first = attempt.finished_at
    assert attempt.delay is not None
    assert 0 < attempt.delay <= 2
    for result, due in (*((one, soon.replace(tzinfo=UTC)) for one in (*called, last)), (again, aware(first) + timedelta(seconds=1.5))):
        job = job_of(result)
        assert job.started_at is not None
        assert timedelta(0) <= aware(job.started_at) - due < timedelta(seconds=20), job.task


def _ended(result: Any) -> bool:
    return Job.objects.filter(task_id=result.id, status="completed").exists()
