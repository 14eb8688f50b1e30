"""A body that leaves a transaction open: what it has locked is free before its end is written."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction

from jobs import enqueue
from jobs.celery_app import left_open
from jobs.celery_app.running import Outcome
from jobs.models import Job
from jobs.store.transitions import Run
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = ["gevent", pytest.param("threads", marks=pytest.mark.slow), pytest.param("prefork", marks=pytest.mark.slow)]


def outcome(greenlet: Any = None) -> Outcome:
    made = Outcome(run=Run(id=1, runs=1), task=None)
    made.body.greenlet = greenlet
    return made


def is_open() -> bool:
    connection.ensure_connection()
    return bool(connection.connection.info.transaction_status)


@pytest.mark.parametrize(
    ("greenlet", "is_rolled_back"), [(None, True), (SimpleNamespace(has_connections=True), True), (SimpleNamespace(), False)]
)
def test_a_transaction_that_was_begun_by_hand_is_rolled_back(greenlet: Any, is_rolled_back: bool) -> None:
    connection.set_autocommit(False)
    try:
        Job.objects.exists()
        assert is_open()
        left_open.roll_back(outcome(greenlet))
        assert is_open() != is_rolled_back
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_what_is_not_left_open_is_left_alone() -> None:
    """A test's `atomic` around an eager task; a project whose connections are never in autocommit."""
    with transaction.atomic():
        Job.objects.exists()
        left_open.roll_back(outcome())
        assert is_open()
    with mock.patch.dict(connection.settings_dict, AUTOCOMMIT=False):
        connection.set_autocommit(False)
        Job.objects.exists()
        left_open.roll_back(outcome())
        assert is_open()
        connection.rollback()
        connection.set_autocommit(True)


@pytest.mark.parametrize("pool", POOLS)
def test_a_body_that_has_locked_its_own_job_reaches_its_end(tmp_path: Path, pool: str) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    log = tmp_path / "log"
    with running_worker(log, pool=pool):
        ids = [enqueue("t.locks_itself", args=[fails], max_retries=0).id for fails in (False, True)]
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=30, what="they have ended")
    assert [Job.objects.get(id=id).status for id in ids] == ["completed", "failed"]
    assert log.read_text().count("has left a transaction open") == 2
