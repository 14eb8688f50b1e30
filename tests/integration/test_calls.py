"""What Celery code does when it calls tasks and inside them, in real workers."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import current_app, signals
from celery.result import allow_join_result
from django.contrib.auth import get_user_model
from django.db import transaction
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs import enqueue
from jobs.models import Attempt, DeadLetterQueue, Job
from tests.flows import GET, job_of, s, task
from tests.taskapp.flows import OutOfStock
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def users(prefix: str) -> list[str]:
    return sorted(get_user_model().objects.filter(username__startswith=prefix).values_list("username", flat=True))


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


def test_a_call_says_how_many_retries_were_spent_before(tmp_path: Path) -> None:
    """As programs do that send themselves again instead of self.retry(); the retries of the row count from there on."""
    with running_worker(tmp_path / "log"):
        result = task("retry_inside").apply_async(retries=1)
        assert result.get(timeout=GET) == 2
    assert (job_of(result).runs, job_of(result).attempts) == (2, 2)


def test_what_a_receiver_changes_before_a_call_is_published_holds(tmp_path: Path) -> None:
    def change(headers: dict[str, Any], properties: dict[str, Any], **_: Any) -> None:
        headers.update(task="t.request", argsrepr="MASK", retries=1)
        properties.update(priority=8, correlation_id="mine")

    signals.before_task_publish.connect(change)
    try:
        result = task("same").apply_async(("secret",), kwargsrepr="hidden")
    finally:
        signals.before_task_publish.disconnect(change)
    job = job_of(result)
    assert (job.task, job.priority) == ("t.request", 8)
    with running_worker(tmp_path / "log"):
        seen = result.get(timeout=GET)
        assert (seen["name"], seen["args"], seen["retries"], seen["correlation_id"]) == ("t.request", ["secret"], 1, "mine")
    assert (job.options["headers"]["argsrepr"], job.options["headers"]["kwargsrepr"]) == ("MASK", "hidden")


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


def test_retries_change_the_call_and_keep_to_their_limits(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        again = task("again").apply_async((1,), {"b": 2})
        assert again.get(timeout=GET) == [9, 8, 2, 8, {"x": "second"}]
        assert (job_of(again).priority, job_of(again).attempts) == (8, 3)
        limited = task("retry_limited").delay()
        with pytest.raises(OutOfStock):
            limited.get(timeout=GET)
        assert job_of(limited).attempts == 3
        stock, key = task("autoretried").delay("stock"), task("autoretried").delay("key")
        with pytest.raises(OutOfStock):
            stock.get(timeout=GET)
        with pytest.raises(KeyError):
            key.get(timeout=GET)
        assert (job_of(stock).attempts, job_of(key).attempts) == (3, 1)
        plain = task("raises").delay()  # without autoretry the first failure is final
        with pytest.raises(OutOfStock):
            plain.get(timeout=GET)
        assert job_of(plain).attempts == 1
        rejected = task("rejects").delay()
        assert rejected.get(timeout=GET) == "second"
        assert (job_of(rejected).attempts, job_of(rejected).runs) == (1, 2)
    assert DeadLetterQueue.objects.count() == 4


def test_a_retry_for_what_is_no_exception_is_one_all_the_same(tmp_path: Path) -> None:
    """A class, as `raise` takes one, and a text, as Celery's Retry does."""
    with running_worker(tmp_path / "log"):
        sent = {what: task("retries_for").delay(what) for what in ("class", "picky", "text", "number")}
        assert {result.get(timeout=GET) for result in sent.values()} == {2}
        renamed = task("retries_as").delay("another")
        assert renamed.get(timeout=GET) == [renamed.id, 1], "one id is one row"
    assert Job.objects.filter(task="t.retries_as").count() == 1
    found = {
        what: list(Attempt.objects.filter(job=job_of(result), run=1).values_list("error_class", "message")) for what, result in sent.items()
    }
    assert found == {
        "class": [("ConnectionError", "")], "picky": [("RuntimeError", "Picky")], "text": [("RuntimeError", "later")],
        "number": [("RuntimeError", "7")],
    }  # fmt: skip


def test_the_pauses_of_retry_backoff_are_those_of_the_row(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        sent = [task("backs_off").delay(), task("backs_off_by_chance").delay()]
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
        steady, random = [list(Attempt.objects.filter(job=job_of(each)).order_by("run")) for each in sent]
        assert [attempt.delay for attempt in steady] == [1, 2, 2, None]
        for before, after in itertools.pairwise(steady):
            waited = (after.started_at - before.finished_at).total_seconds()  # type: ignore[operator]
            assert waited >= (before.delay or 0)
        assert random[0].delay in (0, 1)


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_what_a_task_logs_and_prints_is_in_the_log_with_its_name_and_id(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        result = task("logs").delay("apple")
        result.get(timeout=GET)
        until(lambda: "prints apple" in (tmp_path / "log").read_text(), timeout=10)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line for line in lines if f"t.logs[{result.id}]: says apple" in line and "INFO" in line]
    assert [line for line in lines if "prints apple" in line and "WARNING" in line]


def test_bases_of_ones_own_run_behind_the_claim(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        assert task("plain_base").delay().get(timeout=GET) == "fine"
        with pytest.raises(OutOfStock):
            task("plain_base").delay(True).get(timeout=GET)
        assert task("calling_base").delay(4).get(timeout=GET) == ["called", 4]
        assert task("starting_base").delay().get(timeout=GET) == "started"
        starting = task("starting_base").delay(1)
        with pytest.raises(OutOfStock):
            starting.get(timeout=GET)
        assert (job_of(starting).status, job_of(starting).runs) == ("failed", 1)
        assert task("backend_base").delay().get(timeout=GET) == "fine"
        with pytest.raises(OutOfStock):
            task("backend_base").delay(True).get(timeout=GET)
        until(lambda: users("success") == ["success fine"], timeout=GET)
        until(lambda: users("failure") == ["failure OutOfStock"], timeout=GET)
        until(lambda: users("returned") == ["returned FAILURE", "returned SUCCESS"], timeout=GET)


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_time_limits_end_the_body(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        soft, hard = task("slow_soft").delay(), task("slow_hard").delay()
        assert soft.get(timeout=GET) == "tidied up"
        with pytest.raises(TimeLimitExceeded):
            hard.get(timeout=GET)
        until(lambda: job_of(hard).status == "failed", timeout=GET)
        assert task("same").delay(1).get(timeout=GET) == 1
    assert Attempt.objects.filter(job=job_of(hard)).count() == 1
    assert DeadLetterQueue.objects.filter(job=job_of(hard)).count() == 1


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


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads", "solo"))])
def test_a_retry_may_give_the_next_run_another_time_limit(tmp_path: Path, pool: str) -> None:
    """The leader takes a job over 2 s after its deadline."""
    with running_worker(tmp_path / "log", pool=pool, slots=1 if pool == "solo" else 2):
        longer = task("retry_with_limit").apply_async((5,), {"time_limit": 60}, time_limit=2)
        kept = enqueue("t.retry_with_limit", args=[0], timeout=77)
        assert longer.get(timeout=GET) == [60, None]
        until(lambda: Job.objects.get(pk=kept.pk).status == "completed", timeout=GET)
    assert (job_of(longer).timeout, job_of(longer).runs) == (60, 2)
    assert Job.objects.get(pk=kept.pk).timeout == 77


@pytest.mark.slow
def test_a_rate_limit_spreads_the_runs(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        sent = [task("rated").delay(n) for n in range(8)]
        assert [result.get(timeout=GET) for result in sent] == list(range(8))
        times = sorted(Job.objects.filter(task="t.rated").values_list("started_at", flat=True))
        assert (times[-1] - times[0]).total_seconds() > 1.0  # 8 runs, 5 a second
        assert set(Job.objects.filter(task="t.rated").values_list("attempts", flat=True)) == {1}


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
