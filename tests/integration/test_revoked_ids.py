"""Ids that were revoked before a job had them: whoever is called with one is cancelled, and whoever is not pays nothing for it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, current_app, group
from celery.exceptions import ChordError, TaskRevokedError
from celery.result import AsyncResult, allow_join_result
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from tests.flows import GET, job_of, s, task
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
WAYS: dict[str, Callable[[str], Any]] = {
    "a call": lambda id: task("told_of").apply_async((1,), task_id=id),
    "a name": lambda id: current_app.send_task("t.told_of", (1,), task_id=id),
    "a link": lambda id: chain(s("same", 1), s("told_of").set(task_id=id)).apply_async(),
    "the first of a chain": lambda id: chain(s("told_of", 1).set(task_id=id), s("add_one")).apply_async(),
    "one of a group": lambda id: group(s("same", 1), s("told_of", 1).set(task_id=id)).apply_async(),
    "one of a group that is streamed": lambda id: chord((s("told_of", 1).set(task_id=each) for each in [id]), s("total")).apply_async(),
    "a header task": lambda id: chord([s("same", 1), s("told_of", 1).set(task_id=id)], s("total")).apply_async(),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def test_a_call_with_an_id_that_was_revoked_does_not_run(tmp_path: Path) -> None:
    for way in WAYS:
        AsyncResult(way).revoke()
    sent = {way: send(way) for way, send in WAYS.items()}
    with running_worker(tmp_path / "log"):
        for way in WAYS:
            until(lambda way=way: Job.objects.filter(task_id=way, status="cancelled").exists(), timeout=GET, what=way)  # type: ignore[misc]
            with pytest.raises(TaskRevokedError):
                AsyncResult(way).get(timeout=GET)
        for way in ("a header task", "one of a group that is streamed"):
            with pytest.raises(ChordError, match="TaskRevokedError"):
                sent[way].get(timeout=GET, follow_parents=False)
        until(lambda: get_user_model().objects.filter(username__startswith="revoked").count() == len(WAYS), timeout=GET)
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    assert set(Job.objects.filter(task="t.told_of").values_list("status", "runs", "last_error")) == {("cancelled", 0, "Revoked: revoked")}


def test_it_holds_for_each_call_with_the_id() -> None:
    AsyncResult("mine").revoke()
    for _ in range(2):
        assert job_of(task("same").apply_async((1,), task_id="mine")).status == "cancelled"
    with transaction.atomic():
        assert job_of(task("same").apply_async((1,), task_id="mine")).status == "cancelled"
    assert job_of(task("same").apply_async((1,), task_id="another")).status == "pending"


def test_a_call_is_one_statement_that_asks_only_for_an_id_of_the_callers() -> None:
    task("same").apply_async((1,), priority=3)  # what is made once
    with CaptureQueriesContext(connection) as fresh:
        task("same").apply_async((1,), priority=3, countdown=None)
    with CaptureQueriesContext(connection) as own:
        task("same").apply_async((1,), priority=3, task_id="mine")
    assert [("jobs_storedresult" in query["sql"]) for query in (*fresh, *own)] == [False, True]
