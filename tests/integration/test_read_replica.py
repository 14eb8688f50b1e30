"""A router leads all reading to a replica: what is decided or told about jobs is read where they are, only lists may be old."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.translation import override

from jobs import control, enqueue, steering
from jobs.management.commands.enqueue import ended
from jobs.management.commands.jobs import overview
from jobs.models import Worker
from jobs.store import locks, stats, waiting
from jobs.verification import dead_letter, priority
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SLEEP = "jobs.tasks.sleep"


class Replica:
    """What is read through it fails: no database has this alias."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@pytest.fixture
def from_now_on(settings: Any) -> Callable[[], None]:
    """Reads are led to the replica."""

    def lead() -> None:
        settings.DATABASE_ROUTERS = [f"{__name__}.Replica"]

    return lead


def test_which_workers_live_and_what_waits_for_them(from_now_on: Callable[[], None]) -> None:
    worker = Worker.objects.create(name="w@h", pid=1, concurrency=4, queues=["celery"], tasks=[SLEEP], versions={})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.WORKER_CLASS, worker.id])
    job_in("running")
    job = enqueue(SLEEP, args=[0])
    from_now_on()
    assert [line.worker.name for line in stats.workers()] == ["w@h"]
    found = overview()
    assert (found["statuses"]["pending"], found["statuses"]["running"], found["oldest_waiting"]["id"]) == (1, 1, job.id)
    assert [each["name"] for each in found["workers"]] == ["w@h"]
    assert waiting.obstacles(job).any_worker
    assert steering.drained([worker]) == {}
    assert not ended([job.id])


def test_how_jobs_ended(from_now_on: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    failed, completed = job_in("failed"), job_in("completed")
    from_now_on()
    monkeypatch.setattr("jobs.management.commands.enqueue.enqueue", lambda *_args, **_options: failed)
    with override("en"), pytest.raises(CommandError, match=f"{failed.id} Failed"):
        call_command("enqueue", SLEEP, args="[0]", wait=True, stdout=StringIO(), skip_checks=True)
    assert ended([failed.id, completed.id])
    assert dead_letter.read(failed.id).status == "failed"
    assert dead_letter.open_entries([failed.id])
    assert not dead_letter.noticed([failed.id])
    assert [run.id for run in priority.own_runs([completed.id])] == [completed.id]
    assert stats.open_dead_letters() == 1
    assert control.fail_completed([completed.id], "sara").done == [completed.id]
    assert priority.clear().done == []
