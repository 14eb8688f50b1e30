"""No worker, no leader, or no Redis for a while: people go on, and everything runs when it is back."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client

from jobs import control, enqueue
from jobs.models import Job
from jobs.store import clock
from tests.integration.test_election import candidate
from tests.own_redis import OwnRedis
from tests.waiting import until
from tests.web.test_create import post
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = ("/", "/jobs/", "/jobs/dead-letters/", "/jobs/queues/", "/jobs/workers/", "/jobs/create/")


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.chaos)])
@pytest.mark.parametrize(
    "absent", [pytest.param("worker", marks=pytest.mark.slow), pytest.param("leader", marks=pytest.mark.slow), "redis"]
)
def test_everything_goes_on_and_runs_later(
    tmp_path: Path, own_redis: OwnRedis, client: Client, monkeypatch: pytest.MonkeyPatch, absent: str, seconds: int
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", own_redis.broker_url)
    client.force_login(get_user_model().objects.create_superuser("sara", "", "secret"))
    options: dict[str, Any] = {"slots": 1, "REDIS_URL": own_redis.url}
    with ExitStack() as there:
        if absent == "redis":
            there.enter_context(running_worker(tmp_path / "log", **options))
            own_redis.kill()
        elif absent == "leader":
            there.enter_context(running_worker(tmp_path / "log", **options, JOBS_LEADER_CHILD="False"))
        began = clock.now()
        low, high, changed, cancelled = (enqueue("t.add", args=[n, n], priority=priority) for n, priority in enumerate((2, 8, 1, 5)))
        later = enqueue("t.add", args=[9, 9], delay=1)
        assert control.change_priority([changed.id], 9, by="sara").done == [changed.id]
        assert control.cancel([cancelled.id], by="sara").done == [cancelled.id]
        cache.clear()
        for page in (*PAGES, f"/jobs/{low.id}/"):
            assert client.get(page).status_code == 200, page
        assert post(client).status_code == 302, "a job is created by the form"
        until(lambda: (clock.now() - began).total_seconds() >= seconds, timeout=seconds + 10)
        assert not Job.objects.filter(started_at__isnull=False).exists(), "there is nobody who could run it"
        if absent == "redis":
            own_redis.start()
        elif absent == "leader":
            there.enter_context(candidate(tmp_path / "leader", REDIS_URL=own_redis.url))
        else:
            there.enter_context(running_worker(tmp_path / "log", **options))
        until(lambda: Job.objects.filter(status="completed").count() == 5, timeout=40, what="all but the cancelled one complete")
    assert Job.objects.get(id=cancelled.id).status == "cancelled"
    ran = list(Job.objects.filter(status="completed").order_by("started_at").values_list("id", flat=True))
    assert ran[:2] == [changed.id, high.id]
    assert set(ran) >= {low.id, later.id}
    assert set(Job.objects.filter(id__in=ran).values_list("runs", flat=True)) == {1}
