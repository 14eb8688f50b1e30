"""What Celery code does when it calls tasks and inside them, in a real worker."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import signals
from celery.result import allow_join_result
from django.contrib.auth import get_user_model

from jobs import enqueue
from jobs.models import Attempt, DeadLetterQueue, Job
from tests.flows import GET, job_of, task
from tests.standing import on
from tests.taskapp.flows import OutOfStock
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def users(prefix: str) -> list[str]:
    return sorted(get_user_model().objects.filter(username__startswith=prefix).values_list("username", flat=True))


@on()
def test_a_call_says_how_many_retries_were_spent_before(standing_worker: str) -> None:
    """As programs do that send themselves again instead of self.retry(); the retries of the row count from there on."""
    result = task("retry_inside").apply_async(retries=1)
    assert result.get(timeout=GET) == 2
    assert (job_of(result).runs, job_of(result).attempts) == (2, 2)


@on()
def test_what_a_receiver_changes_before_a_call_is_published_holds(standing_worker: str) -> None:
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
    seen = result.get(timeout=GET)
    assert (seen["name"], seen["args"], seen["retries"], seen["correlation_id"]) == ("t.request", ["secret"], 1, "mine")
    assert (job.options["headers"]["argsrepr"], job.options["headers"]["kwargsrepr"]) == ("MASK", "hidden")


@on()
def test_retries_change_the_call_and_keep_to_their_limits(standing_worker: str) -> None:
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


@on()
def test_a_retry_for_what_is_no_exception_is_one_all_the_same(standing_worker: str) -> None:
    """A class, as `raise` takes one, and a text, as Celery's Retry does."""
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


@on()
def test_the_pauses_of_retry_backoff_are_those_of_the_row(standing_worker: str) -> None:
    sent = [task("backs_off").delay(), task("backs_off_by_chance").delay()]
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    steady, random = [list(Attempt.objects.filter(job=job_of(each)).order_by("run")) for each in sent]
    assert [attempt.delay for attempt in steady] == [1, 2, 2, None]
    for before, after in itertools.pairwise(steady):
        waited = (after.started_at - before.finished_at).total_seconds()  # type: ignore[operator]
        assert waited >= (before.delay or 0)
    assert random[0].delay in (0, 1)


@on()
def test_bases_of_ones_own_run_behind_the_claim(standing_worker: str) -> None:
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


@on("prefork")
def test_time_limits_end_the_body(standing_worker: str) -> None:
    soft, hard = task("slow_soft").delay(), task("slow_hard").delay()
    assert soft.get(timeout=GET) == "tidied up"
    with pytest.raises(TimeLimitExceeded):
        hard.get(timeout=GET)
    until(lambda: job_of(hard).status == "failed", timeout=GET)
    assert task("same").delay(1).get(timeout=GET) == 1
    assert Attempt.objects.filter(job=job_of(hard)).count() == 1
    assert DeadLetterQueue.objects.filter(job=job_of(hard)).count() == 1


@on("prefork", "threads", "solo")
def test_a_retry_may_give_the_next_run_another_time_limit(standing_worker: str) -> None:
    """The leader takes a job over 2 s after its deadline."""
    longer = task("retry_with_limit").apply_async((5,), {"time_limit": 60}, time_limit=2)
    kept = enqueue("t.retry_with_limit", args=[0], timeout=77)
    assert longer.get(timeout=GET) == [60, None]
    until(lambda: Job.objects.get(pk=kept.pk).status == "completed", timeout=GET)
    assert (job_of(longer).timeout, job_of(longer).runs) == (60, 2)
    assert Job.objects.get(pk=kept.pk).timeout == 77


@pytest.mark.slow
@on()
def test_a_rate_limit_spreads_the_runs(standing_worker: str) -> None:
    sent = [task("rated").delay(n) for n in range(8)]
    assert [result.get(timeout=GET) for result in sent] == list(range(8))
    times = sorted(Job.objects.filter(task="t.rated").values_list("started_at", flat=True))
    assert (times[-1] - times[0]).total_seconds() > 1.0  # 8 runs, 5 a second
    assert set(Job.objects.filter(task="t.rated").values_list("attempts", flat=True)) == {1}
