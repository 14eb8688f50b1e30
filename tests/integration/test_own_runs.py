"""A parent writes the end of a run for a process of its own: of a message's duplicates it may be another worker's that runs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import current_app
from celery.app.task import Context
from django.db import connection

from jobs.celery_app import process_engine
from jobs.domain.complaint import Complaint
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.store import transitions
from jobs.store.transitions import Run
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def numbers() -> Iterator[dict[str, int]]:
    """The number of this process, a parent, of a process of its own and of another worker."""
    own = Registration(WORKER | {"pool": "prefork"})
    engine = PlainEngine(own)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_worker (name, hostname, pid, pool, concurrency, queues, tasks, versions, parent)
               SELECT name, hostname, 2, pool, 1, queues, tasks, versions, id FROM jobs_worker RETURNING id"""
        )
        child = cursor.fetchone()[0]
    process_engine.use(engine)
    yield {"this one": own.id, "its process": child, "another": child + 1}
    process_engine.use(None)
    own.leave()
    engine.close()


def _hard_limit(request: Any) -> None:
    current_app.backend.mark_as_failure(request.id, TimeLimitExceeded(15), request=request)


def _terminated(request: Any) -> None:
    current_app.backend.mark_as_revoked(request.id, "terminated", request=request)


ENDS: dict[str, tuple[Callable[[Any], None], dict[str, Any], str]] = {
    "past its hard limit": (_hard_limit, {"autoretry": False}, "failed"),
    "and to be retried": (_hard_limit, {"autoretry": True, "max_retries": 3}, "pending"),
    "terminated": (_terminated, {}, "cancelled"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("holder", ["this one", "its process", "another"])
def test_only_a_run_of_its_own_processes_is_ended_by_a_parent(numbers: dict[str, int], end: str, holder: str) -> None:
    write, headers, status = ENDS[end]
    job = job_in("pending")
    with connection.cursor() as cursor:
        run = Run(id=job.id, runs=1)
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=numbers[holder], queue=job.queue, priority=job.priority)
    write(Context({"id": job.task_id, "task": job.task, "job_id": job.id, "runs": 1, "retries": 0, "errbacks": None} | headers))
    job.refresh_from_db()
    assert job.status == ("running" if holder == "another" else status)
    assert Attempt.objects.count() == (holder != "another")
    assert DeadLetterQueue.objects.count() == (holder != "another" and status == "failed")
    assert Job.objects.filter(worker=numbers[holder]).exists() == (job.status != "pending")


@pytest.mark.parametrize("end", ENDS)
def test_a_parent_waits_for_no_trigger(numbers: dict[str, int], end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no job of this worker would begin meanwhile; the process that ran it is gone, so the leader gives the run back."""
    write, headers, _ = ENDS[end]
    job = job_in("pending")
    with connection.cursor() as cursor:
        run = Run(id=job.id, runs=1)
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=numbers["its process"], queue=job.queue, priority=job.priority)
        cursor.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$")
        cursor.execute("CREATE TRIGGER refuse BEFORE UPDATE ON jobs_job FOR EACH ROW EXECUTE FUNCTION refuse()")
    monkeypatch.setattr(process_engine.current().write.__self__, "_sleep", lambda seconds: pytest.fail("it waits"))  # type: ignore[attr-defined]
    said: list[str] = []
    monkeypatch.setattr(Complaint, "say", lambda self, error, **_: said.append(str(error)))
    try:
        write(Context({"id": job.task_id, "task": job.task, "job_id": job.id, "runs": 1, "retries": 0, "errbacks": None} | headers))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")
    assert Job.objects.get(id=job.id).status == "running"
    assert "not today" in said[0]
