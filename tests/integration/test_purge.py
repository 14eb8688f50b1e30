"""`celery purge` is what people know to empty a queue: its rows are cancelled, and nothing sends them again."""

import subprocess
import sys
from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.utils import timezone

from jobs import enqueue, enqueue_many
from jobs.celery_app import transport
from jobs.domain.priority import lane_key
from jobs.models import Job
from jobs.store import broker
from tests.rows import job_in
from tests.workers import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)


def celery(*arguments: str) -> str:
    command = [sys.executable, "-m", "celery", "-A", "task_queue_project", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_purge_cancels_the_rows_of_its_queues() -> None:
    enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3)
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, run_at=timezone.now() + timedelta(days=1))
    other = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, queue="other")
    running, ended = job_in("running"), job_in("completed")
    client = broker.client(settings.CELERY_BROKER_URL)
    client.lpush(f"jobs:{lane_key('celery', 4)}", "a message")
    assert "Purged 4 messages from 1 known task queue" in celery("purge", "-f", "-Q", "celery")
    assert Job.objects.filter(status="cancelled", finished_at__isnull=False).count() == 4
    assert not client.exists(f"jobs:{lane_key('celery', 4)}")
    assert {job.id: job.status for job in Job.objects.exclude(status="cancelled")} == {
        other.id: "pending", running.id: "running", ended.id: "completed",
    }  # fmt: skip
    assert "No messages purged" in celery("purge", "-f", "-Q", "celery")


@pytest.mark.parametrize("verb", ["purge", "discard_all"])
def test_a_purge_over_a_connection_of_the_pool_cancels_rows_too(verb: str) -> None:
    """kombu's pool makes its connections itself."""
    enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3)
    client = broker.client(settings.CELERY_BROKER_URL)
    client.lpush(f"jobs:{lane_key('celery', 4)}", "a message")
    assert getattr(current_app.control, verb)() == 3
    assert set(Job.objects.values_list("status", flat=True)) == {"cancelled"}
    assert not client.exists(f"jobs:{lane_key('celery', 4)}")


def test_a_purge_of_many_goes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BATCH", 10)
    enqueue_many("jobs.tasks.sleep", [((0,), {})] * 35)
    assert transport.purge("celery") == 35
    assert transport.purge("celery") == 0
