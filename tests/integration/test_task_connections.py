"""The tasks' own sessions under gevent: few, clean, and replaced when they are gone."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connection, connections
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from jobs import enqueue, enqueue_many
from jobs.models import Attempt
from jobs.worker import task_connections
from jobs.worker.task_connections import Kept, keep_connections
from tests.integration.test_engine import ended
from tests.waiting import until
from tests.workers import running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks(settings: Any) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def sessions(count: int, statement: str = "") -> list[list[Any]]:
    return [job.result for job in ended(*enqueue_many("t.session", [((statement,), {})] * count))]


def in_transaction() -> int:
    """How many sessions wait within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()")
        return int(cursor.fetchone()[0])


def test_tasks_share_few_sessions_and_leave_nothing_in_them(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        used = sessions(40, "SET t.mark = 'something'; SELECT pg_advisory_lock_shared(77)") + sessions(8)
        assert len({pid for pid, _, _ in used}) <= 12  # 48 when each task opens its own
        assert {(left or "", locks) for _, left, locks in used} == {("", 0)}


@pytest.mark.skipif(find_spec("psycopg_pool") is None, reason="Django's own pool needs psycopg 3")
@pytest.mark.parametrize("most", [6, 8])
def test_nobody_waits_in_vain_in_django_s_own_pool(tmp_path: Path, most: int) -> None:
    """A session that was kept for the next task never came back to it."""
    pool = {"min_size": 2, "max_size": most, "timeout": 10}
    database = settings.DATABASES["default"] | {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": pool}}
    with running_worker(tmp_path / "log", slots=6, **settings_of(DATABASES={"default": database})):
        ended(*enqueue_many("t.session", [((), {})] * 600))
    assert not Attempt.objects.exists(), "no run has failed"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sessions are kept as in a worker."""
    monkeypatch.setattr(connections, "create_connection", connections.create_connection)
    monkeypatch.setattr(caches, "create_connection", caches.create_connection)
    keep_connections(SimpleNamespace(_fixups=[]), 8)
    yield
    for session, _since in Kept._idle.pop("default", []):
        session.close()


@pytest.mark.usefixtures("kept")
def test_a_session_that_has_rested_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has forgotten it on the way tells nobody: a task that asked over it waited for an answer."""
    now = [100.0]
    monkeypatch.setattr(task_connections, "time", SimpleNamespace(monotonic=lambda: now[0]))
    tasks = [connections.create_connection("default") for _ in range(4)]
    for task in tasks[:3]:
        task.ensure_connection()
    first, second, last = (task.connection for task in tasks[:3])
    for task, later in zip(tasks[:3], (0.0, 1.0, 60.0), strict=True):
        now[0] = 100.0 + later
        task.close()
    now[0] += 1.5
    for task in tasks[:3]:
        task.ensure_connection()
    assert tasks[0].connection is last
    assert not {first, second} & {task.connection for task in tasks[:3]}
    assert (first.closed, second.closed) == (1, 1)
    for task in tasks:
        task.close()


@pytest.mark.skipif(is_psycopg3, reason="psycopg 3 has other names for it")
@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("change", "stays"), [({}, True), ({"readonly": True}, False), ({"isolation_level": "SERIALIZABLE"}, False)])
def test_what_a_task_has_told_the_driver_goes_with_its_session(change: dict[str, Any], stays: bool) -> None:
    """psycopg2 says it with each BEGIN, whatever DISCARD ALL has said before."""
    task, following = (connections.create_connection("default") for _ in range(2))
    task.ensure_connection()
    session = task.connection
    if change:
        session.set_session(**change)
    task.close()
    following.ensure_connection()
    assert (following.connection is session) == stays
    following.close()


@pytest.mark.usefixtures("kept")
def test_no_class_is_made_for_each_connection() -> None:
    """A task has one of its own, and the collector would have a class of each to go through."""
    one, other = (connections.create_connection("default") for _ in range(2))
    assert isinstance(one, Kept)
    assert type(one) is type(other)


def test_what_was_prepared_in_a_session_is_forgotten_with_it(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", DEBUG="False"):
        (job,) = ended(enqueue("t.calls_around_a_close").id)
        assert job.result == [1, 0]


def test_a_session_that_broke_or_is_in_a_transaction_is_not_used_again(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        before = {pid for pid, _, _ in sessions(12)}
        timed_out = enqueue("t.open_transaction", args=[60], timeout=1, max_retries=0)
        (job,) = ended(timed_out.id)
        assert job.status == "failed"
        assert Attempt.objects.get(job=job).outcome == "timed out"
        assert not get_user_model().objects.filter(username="open").exists()
        until(lambda: not in_transaction(), timeout=10, what="no session stays in a transaction")  # the engine's own pass through it
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM unnest(%s::int[]) pid", [list(before)])
        after = sessions(12)
        assert not before & {pid for pid, _, _ in after}
