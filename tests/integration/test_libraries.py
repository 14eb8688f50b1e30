"""What libraries around Celery lean on; `tests/adoption/test_same.py` runs the libraries themselves beside stock Celery."""

from collections.abc import Iterator
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import celery
import pytest
from celery import current_app
from celery.contrib.abortable import AbortableAsyncResult
from celery.result import AsyncResult, allow_join_result
from django.db import connection

from jobs.models import Job
from jobs.store import transitions
from jobs.store.transitions import Run
from jobs.worker import unreadable
from tests.flows import GET, job_of, task
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


@pytest.mark.parametrize(("owner", "name"), [(celery.Task, "apply_async"), (celery.Celery, "send_task")])
def test_each_call_has_the_headers_that_a_patch_of_celery_adds_to_it(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """sentry-sdk and ddtrace put a function of their own around Celery's: no row may be a copy of the first call's."""
    task("same").delay(0)
    original, number = getattr(owner, name), count()

    @wraps(original)
    def patched(*args: Any, **options: Any) -> Any:
        return original(*args, **options | {"headers": {"trace": next(number)}})

    monkeypatch.setattr(owner, name, patched)
    sent = [task("same").delay(n) for n in range(3)]
    assert [job_of(result).options["headers"]["trace"] for result in sent] == [0, 1, 2]
    monkeypatch.undo()
    assert "trace" not in job_of(task("same").delay(3)).options["headers"]


def test_a_mock_in_the_place_of_the_app_s_send_task_is_called() -> None:
    """As tests of projects have it; the row of a former call may not be copied past it."""
    task("same").delay(0)
    with mock.patch.object(current_app._get_current_object(), "send_task") as send_task:
        task("same").delay(1)
    send_task.assert_called_once()
    assert Job.objects.count() == 1


def _claim(job: Job) -> bool:
    with connection.cursor() as cursor:
        return transitions.claim(
            cursor, Run(id=job.id, runs=job.runs + 1), task_id=job.task_id, worker=0, queue=job.queue, priority=job.priority
        )


def test_an_abort_of_a_job_that_waits_is_seen_by_its_run() -> None:
    result = task("same").delay(0)
    AbortableAsyncResult(result.id).abort()
    assert _claim(job_of(result))
    assert AsyncResult(result.id).state == "ABORTED"


def test_how_far_a_lost_run_was_is_forgotten_by_the_next() -> None:
    result = task("same").delay(0)
    job = job_of(result)
    assert _claim(job)
    with connection.cursor() as cursor:
        run = Run(id=job.id, runs=1)
        assert transitions.report_progress(cursor, run, '{"fraction": 0.5, "message": "half"}')
        assert transitions.release(cursor, run)
    job = job_of(result)
    assert job.progress == {"fraction": 0.5, "message": "half"}
    assert _claim(job)
    assert job_of(result).progress is None


def test_the_traceback_of_a_retry_says_when_the_next_try_is(tmp_path: Path) -> None:
    """celery-progress reads it there."""
    with running_worker(tmp_path / "log"):
        result = task("retry_later").delay()
        until(lambda: result.state == "RETRY", timeout=GET)
        assert "celery.exceptions.Retry: Retry in 3600s" in result.traceback
        result.revoke()


class InBatches(celery.Task):
    """As celery-batches has it."""

    def Strategy(self, task: Any, app: Any, consumer: Any) -> Any:
        raise AssertionError("asked")


def test_a_task_that_takes_its_messages_in_its_own_way_is_refused() -> None:
    """Its jobs would never end, and be run again and again."""
    batched = InBatches()
    batched.name = "t.in_batches"
    assert "celery-batches" in unreadable.strategy(batched)
    assert unreadable.strategy(task("same")) == ""
    assert unreadable.strategy(None) == ""
