"""A real worker is drained, resumed and shut down from its page."""

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs import enqueue
from jobs.models import Audit, Job, Worker
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


def status(job: Job) -> str:
    return Job.objects.values_list("status", flat=True).get(pk=job.pk)


def test_a_worker_is_drained_resumed_and_shut_down(client: Client, tmp_path: Path) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    log = tmp_path / "log"
    with running_worker(log) as process:
        worker = until(lambda: Worker.objects.filter(parent=None).first(), timeout=30)
        assert worker is not None
        page = f"/jobs/workers/{worker.pk}/"
        until(lambda: b"not reported" not in client.get(page).content, timeout=60, what="it answers remote control")
        running = enqueue("jobs.tasks.sleep", kwargs={"seconds": 2})
        until(lambda: status(running) == "running", timeout=30)
        assert client.post(f"{page}drain/", {"reason": "x" * 2001}).status_code == 422
        client.post(f"{page}drain/", {"reason": "a new disk"})
        until(lambda: Worker.objects.get(pk=worker.pk).queues == [], timeout=30)
        waiting = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
        until(lambda: status(running) == "completed", timeout=30)  # what runs goes on
        assert status(waiting) == "pending"
        assert b"drained" in client.get("/jobs/workers/").content
        assert b"No live worker serves its queue" in client.get(f"/jobs/{waiting.pk}/").content
        client.post(f"{page}resume/")
        until(lambda: Worker.objects.get(pk=worker.pk).queues == ["celery"], timeout=30)
        until(lambda: status(waiting) == "completed", timeout=30)
        client.post(f"{page}shutdown/")
        assert process.wait(40) == 0
        assert client.get(page).status_code == 404
    told = list(Audit.objects.order_by("id").values_list("verb", "name", "actor", "before", "after", "job", "note"))
    assert told == [
        ("drain", worker.name, "sara", {"queues": ["celery"]}, {"queues": []}, None, "a new disk"),
        ("resume", worker.name, "sara", {"queues": []}, {"queues": ["celery"]}, None, ""),
        ("shutdown", worker.name, "sara", {"queues": ["celery"]}, {}, None, ""),
    ]
    assert b"worker drained" in client.get("/jobs/audit/").content
    assert "Redis does not answer" not in log.read_text("utf-8")
