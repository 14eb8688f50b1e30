"""The same as test_calls, where a test needs a worker of its own or none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import current_app
from celery.result import allow_join_result
from django.db import transaction
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs import enqueue
from jobs.models import Attempt, DeadLetterQueue, Job
from tests.flows import GET, job_of, s, task
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def test_a_task_sees_the_call_it_was_made_by(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", "-n", "seeing@%h"):
        result = task("request").apply_async(
            (1,), {"b": 2}, task_id="my id", headers={"x": "custom"}, priority=7, correlation_id="other", time_limit=50, soft_time_limit=40
        )
        seen = result.get(timeout=GET)
        assert (seen["id"], seen["root_id"], seen["parent_id"], seen["retries"]) == ("my id", "my id", None, 0)
        assert (seen["args"], seen["kwargs"], seen["headers"], seen["x"]) == ([1], {"b": 2}, {"x": "custom"}, "custom")
        assert seen["delivery_info"] == {"exchange": "", "routing_key": "celery", "priority": 7, "redelivered": False}
        assert (seen["timelimit"], seen["job_id"], seen["name"]) == ([50, 40], job_of(result).id, "t.request")
        assert seen["correlation_id"] == "other"
        assert seen["hostname"].startswith("seeing@")
        assert job_of(result).priority == 7
        by_name = current_app.send_task("t.request", kwargs={"a": 1}, routing_key="celery")
        assert by_name.get(timeout=GET)["delivery_info"]["priority"] == 0
        assert not by_name.get(timeout=GET)["headers"]
        assert by_name.get(timeout=GET)["correlation_id"] == by_name.id
        assert job_of(by_name).priority == 5
        parent = (s("request") | s("request")).apply_async()
        second = parent.get(timeout=GET)
        assert (second["parent_id"], second["root_id"]) == (parent.parent.id, parent.parent.id)


@pytest.mark.slow
def test_old_messages_eager_calls_and_commits(tmp_path: Path, settings: Any) -> None:
    app = current_app._get_current_object()
    app.conf.task_protocol = 1
    try:
        first = task("same").apply_async((3,), link=s("add_one"))
    finally:
        app.conf.task_protocol = 2
    with transaction.atomic():
        task("same").delay_on_commit(4)
        assert Job.objects.count() == 1
    assert Job.objects.count() == 2
    with running_worker(tmp_path / "log"):
        assert first.get(timeout=GET) == 3
        assert first.children[0].get(timeout=GET) == 4
    assert task("same")(5) == 5
    assert task("same").apply((6,)).get() == 6
    app.conf.task_always_eager = True
    try:
        assert task("same").delay(7).get() == 7
        assert (s("same", 1) | s("add_one")).apply_async().get() == 2
    finally:
        app.conf.task_always_eager = False
    assert Job.objects.filter(status="pending").count() == 0


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_what_a_task_logs_and_prints_is_in_the_log_with_its_name_and_id(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        result = task("logs").delay("apple")
        result.get(timeout=GET)
        until(lambda: "prints apple" in (tmp_path / "log").read_text(), timeout=10)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line for line in lines if f"t.logs[{result.id}]: says apple" in line and "INFO" in line]
    assert [line for line in lines if "prints apple" in line and "WARNING" in line]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_limit_of_the_worker_ends_a_body_in_a_thread(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", "--time-limit", "1", pool=pool, slots=1 if pool == "solo" else 2) as worker:
        long = task("longest_gap").delay(60)
        with pytest.raises(TimeLimitExceeded):
            long.get(timeout=GET)
        assert (job_of(long).status, job_of(long).timeout) == ("failed", None)
        assert task("same").delay(1).get(timeout=GET) == 1
        assert worker.poll() is None


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_time_limit_spends_a_retry(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2, JOBS_RETRY_BACKOFF="0.2"):
        hard = enqueue("t.slow_hard", max_retries=1).id
        until(lambda: Job.objects.get(id=hard).status == "failed", timeout=GET)
    job = Job.objects.get(id=hard)
    assert (job.runs, job.attempts) == (2, 2)
    assert Attempt.objects.filter(job=job).count() == 2
    assert DeadLetterQueue.objects.get(job=job).error_class == "TimeLimitExceeded"


def test_the_event_of_a_call_is_sent_after_the_commit_and_never_in_its_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    dispatcher = current_app.amqp._event_dispatcher
    monkeypatch.setitem(current_app.conf, "task_send_sent_event", True)
    monkeypatch.setattr(dispatcher, "publish", lambda kind, event, *_, **__: told.append(f"{kind} {event['uuid']} {event['queue']}"))
    with transaction.atomic():
        result = task("same").delay(1)
        assert told == []
    assert told == [f"task-sent {result.id} celery"]
    monkeypatch.setattr(dispatcher, "publish", mock.Mock(side_effect=RedisConnectionError("away")))
    assert job_of(task("same").delay(2)).status == "pending"
    assert "task-sent" in caplog.text
