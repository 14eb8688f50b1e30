"""Options of a call that can be none: one clear error in the caller, no row, and the caller's transaction is as it was."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from celery.result import allow_join_result
from django.db import transaction

from jobs import enqueue
from jobs.conf import configuration
from jobs.models import Job
from tests.flows import GET, job_of, s, task
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"eta": "nonsense"}, "eta 'nonsense' is no time"),
        ({"eta": "tomorrow"}, "eta 'tomorrow' is no time"),
        ({"priority": "high"}, "priority 'high' is no number"),
        ({"priority": [1]}, r"priority \[1\] is no number"),
        ({"priority": float("nan")}, "priority nan is no number"),
        ({"retries": "two"}, "retries 'two' is no number"),
        ({"time_limit": "10 s"}, "time_limit '10 s' is no number"),
        ({"soft_time_limit": "10 s"}, "soft_time_limit '10 s' is no number"),
        ({"soft_time_limit": float("nan")}, "soft_time_limit nan is no number"),
        ({"time_limit": float("-inf")}, "time_limit -inf is no number"),
        ({"queue": "q" * 256}, "queue 'q+'… has 256 characters: at most 255"),
        ({"task_id": "i" * 5000}, "task_id 'i+'… has 5000 characters: at most 255"),
        ({"expires": "nonsense"}, "."),
        ({"serializer": "nope"}, "nope"),
        ({"headers": {"a": object()}}, "not JSON serializable"),
    ],
)
def test_an_option_that_can_be_none_is_refused_by_its_name(given: dict[str, Any], told: str) -> None:
    with transaction.atomic():
        with pytest.raises(Exception, match=told) as caught:
            task("same").apply_async((1,), **given)
        assert type(caught.value).__module__.partition(".")[0] in ("builtins", "kombu")
        assert Job.objects.count() == 0  # the transaction can go on


def test_what_is_no_name_of_a_task_is_refused_before_the_database_does() -> None:
    with transaction.atomic():
        for name in (None, 5, task("same")):
            with pytest.raises(TypeError, match="is no name of a task"):
                current_app.send_task(name)
        assert Job.objects.count() == 0  # the transaction can go on


@pytest.mark.parametrize("limit", [float("inf"), 10**12])
def test_a_limit_that_nobody_lives_to_see_is_taken(limit: float) -> None:
    assert job_of(task("same").apply_async((1,), time_limit=limit)).timeout in (None, 2**31 - 1)


@pytest.mark.parametrize("limit", [float("inf"), 10**400])
def test_a_limit_without_end_is_none(limit: float) -> None:
    """As a value that JSON does not know it reached the worker as no number, and the job failed there."""
    for name in ("time_limit", "soft_time_limit"):
        job = job_of(task("same").apply_async((1,), **{name: limit}))
        assert job.timeout is None
        assert "timelimit" not in str(job.options)
    job = job_of(task("same").apply_async((1,), time_limit=5, soft_time_limit=limit))
    assert job.timeout == 5
    assert "'timelimit': [5, None]" in str(job.options)


@pytest.mark.parametrize(
    ("said", "kept"),
    [(sys.maxsize, 2**31 - 1), (10**12, 2**31 - 1), (float("inf"), None), (None, None), (-1, 0), (1.5, 2), ("3", 3)],
)
def test_any_number_of_retries_that_a_task_may_have_with_celery_is_taken(monkeypatch: pytest.MonkeyPatch, said: Any, kept: Any) -> None:
    monkeypatch.setattr(task("same"), "max_retries", said)
    with transaction.atomic():
        assert [job_of(task("same").delay(n)).max_retries for n in (1, 2)] == [kept, kept]


@pytest.mark.parametrize(
    ("said", "kept"), [(0, None), (0.4, 1), (1.6, 2), (-1, 1), (10**12, 2**31 - 1), (float("inf"), None), ("60", 60), (None, None)]
)
def test_any_time_limit_of_a_task_is_taken_by_every_call(monkeypatch: pytest.MonkeyPatch, said: Any, kept: Any) -> None:
    monkeypatch.setattr(task("same"), "timeout", said)
    with transaction.atomic():
        assert job_of(task("same").delay(1)).timeout == kept
        assert enqueue(task("same"), args=[1]).timeout == (kept or configuration().default_timeout)


@pytest.mark.parametrize(("name", "told"), [("timeout", "timeout 'long' is no number"), ("max_retries", "max_retries 'long' is no number")])
def test_an_option_of_a_task_that_is_no_number_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    monkeypatch.setattr(task("same"), name, "long")
    with transaction.atomic():
        with pytest.raises(ValueError, match=told):
            task("same").delay(1)
        assert Job.objects.count() == 0


def test_an_id_may_be_a_uuid_and_a_time_a_text(tmp_path: Path) -> None:
    given = uuid.uuid4()
    result = task("same").apply_async((1,), task_id=given)
    assert result.state == "PENDING"
    later = task("same").apply_async((2,), eta="2001-01-01T00:00:00+00:00")
    with running_worker(tmp_path / "log"):
        assert (result.get(timeout=GET), later.get(timeout=GET)) == (1, 2)
        assert (s("same", 3) | s("add_one")).apply_async(task_id=uuid.uuid4()).get(timeout=GET) == 4
    assert result.state == "SUCCESS"
    assert job_of(result).task_id == str(given)
