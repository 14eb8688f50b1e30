"""Inserts use a kept cursor where Django would do nothing more than that; wherever it would, Django's way is gone."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connections, transaction
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper as Base
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from jobs import enqueue
from jobs.models import Job
from jobs.store import engine, short
from jobs.store.kept import KeptCursor
from jobs.tasks import sleep

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(is_psycopg3, reason="Django's way is the only one with psycopg 3"),
]


def db() -> Any:
    """Django's connection itself; `django.db.connection` stands before it."""
    return connections["default"]


def call() -> None:
    enqueue("jobs.tasks.sleep", args=[0])


def delay() -> None:
    sleep.delay(0)


def kept() -> Any:
    return db().__dict__.get("_jobs_cursor")


@pytest.fixture(params=[call, delay])
def insert(request: pytest.FixtureRequest) -> Callable[[], None]:
    request.param()
    request.param()
    assert kept() is not None
    return request.param  # type: ignore[no-any-return]


def test_the_cursor_is_kept_with_its_connection(insert: Callable[[], None]) -> None:
    first = kept()
    insert()
    assert kept() is first
    db().close()
    insert()
    insert()
    assert kept() is not first
    assert kept().connection is db().connection
    with transaction.atomic():
        insert()
        transaction.set_rollback(True)
    assert Job.objects.count() == 5


def test_django_s_way_is_gone_where_it_does_more(insert: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, captured queries, code of libraries around Django's cursors: each sees the insert."""
    seen: list[str] = []

    def hook(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append("hook")
        return execute(sql, params, many, context)

    with db().execute_wrapper(hook):
        insert()
    with CaptureQueriesContext(db()) as queries:
        insert()
    seen += ["captured" for query in queries if "INSERT INTO jobs_job" in query["sql"]]
    execute, cursor = utils.CursorWrapper.execute, db().cursor
    with monkeypatch.context() as patch:
        patch.setattr(utils.CursorWrapper, "execute", lambda *args: (seen.append("patched"), execute(*args))[1])
        insert()
    with monkeypatch.context() as patch:
        patch.setattr(db(), "cursor", lambda: (seen.append("replaced"), cursor())[1])
        insert()
    with monkeypatch.context() as patch:
        patch.setattr(type(db()), "_cursor", lambda self, name=None: (seen.append("backend"), Base._cursor(self, name))[1])
        insert()
    assert seen == ["hook", "captured", "patched", "replaced", "backend"]
    insert()
    assert len(seen) == 5
    assert Job.objects.count() == 8


def test_errors_are_django_s(insert: Callable[[], None]) -> None:
    wrong = "INSERT INTO jobs_job (task, priority) VALUES (%s, %s)"
    with pytest.raises(IntegrityError, match="jobs_job_priority"):
        short.first_row(db(), wrong, ["t", 77])
    insert()
    with pytest.raises(IntegrityError), transaction.atomic():
        short.first_row(db(), wrong, ["t", 77])
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            short.first_row(db(), wrong, ["t", 77])
        insert()
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            insert()


def test_a_session_that_is_gone_is_an_error_of_django_s(insert: Callable[[], None]) -> None:
    with closing(engine.connect("killer")) as other:
        other.cursor().execute("SELECT pg_terminate_backend(%s)", [db().connection.info.backend_pid])
    with pytest.raises(OperationalError):
        short.first_row(db(), "SELECT %s", [1])
    with pytest.raises(InterfaceError):
        short.first_row(db(), "SELECT %s", [1])
    insert()
    assert Job.objects.count() == 3


def test_a_health_check_that_is_due_is_made(insert: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(engine.connect("killer")) as other:
        other.cursor().execute("SELECT pg_terminate_backend(%s)", [db().connection.info.backend_pid])
    monkeypatch.setattr(db(), "health_check_enabled", True)
    monkeypatch.setattr(db(), "health_check_done", False)
    insert()
    assert Job.objects.count() == 3


def test_who_is_called_meanwhile_has_another_cursor(insert: Callable[[], None]) -> None:
    """A handler of a signal may enqueue between an execute and its answer."""
    inner: list[Any] = []

    class Interrupted:
        query, description, fetchone = b"", True, kept()._cursor.fetchone

        def execute(self, statement: str, values: Any, own: Any = kept()._cursor) -> None:  # noqa: B008 - the cursor of this moment
            own.execute(statement, values)
            inner.append(short.first_row(db(), "SELECT %s", ["inner"]))

    db().__dict__["_jobs_cursor"] = KeptCursor(Interrupted, db().connection)
    assert short.first_row(db(), "SELECT %s", ["outer"]) == ("outer",)
    assert inner == [("inner",)]


def test_what_is_long_is_not_remembered(insert: Callable[[], None]) -> None:
    assert short.first_row(db(), "SELECT length(%s)", ["x" * 20_000]) == (20_000,)
    assert kept()._cursor is None
    with pytest.raises(DataError):
        short.first_row(db(), "SELECT %s::int", ["x" * 20_000])
    assert kept()._cursor is None
    assert short.first_row(db(), "SELECT 1 WHERE %s", [False]) is None
    assert short.first_row(db(), "SET lock_timeout = %s", [0]) is None
    assert kept()._cursor is not None


def test_a_coroutine_is_told_as_django_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE")

    async def calls() -> None:
        delay()
        with pytest.raises(SynchronousOnlyOperation):
            call()

    call()
    asyncio.run(calls())
    assert Job.objects.count() == 2
