"""OPTIONS["assume_role"] of Django: the login has no rights of its own, those of the role that owns the tables count everywhere."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from jobs import enqueue
from jobs.store import engine
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.integration.test_election import WON, candidate
from tests.integration.test_engine import ended
from tests.waiting import until
from tests.workers import running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
ROLES = """DROP ROLE IF EXISTS jobs_web; DROP ROLE IF EXISTS "jobs owner"; CREATE ROLE "jobs owner";
CREATE ROLE jobs_web LOGIN NOINHERIT IN ROLE "jobs owner"; GRANT USAGE ON SCHEMA public TO "jobs owner";
GRANT ALL ON ALL TABLES IN SCHEMA public TO "jobs owner"; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO "jobs owner\""""


@pytest.fixture
def database() -> Iterator[dict[str, Any]]:
    """The settings of the login."""
    with connection.cursor() as cursor:
        cursor.execute(ROLES)
        yield settings.DATABASES["default"] | {"USER": "jobs_web", "OPTIONS": {"assume_role": "jobs owner"}}
        cursor.execute('DROP OWNED BY "jobs owner"; DROP ROLE jobs_web; DROP ROLE "jobs owner"')


@pytest.fixture
def of_the_login(database: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine connections of this process are the login's."""
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    monkeypatch.setitem(connection.settings_dict, "USER", database["USER"])
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", database["OPTIONS"])


def roles(session: Any) -> tuple[str, str]:
    with session.cursor() as cursor:
        cursor.execute("SELECT session_user, current_user")
        return cursor.fetchone()


@pytest.mark.usefixtures("of_the_login")
def test_engine_connections_are_in_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine.connect("test")
    assert roles(found) == ("jobs_web", "jobs owner")
    found.close()
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"assume_role": "no such role"})
    with pytest.raises(psycopg2.Error, match="no such role"):
        engine.connect("test")


@pytest.mark.usefixtures("of_the_login")
def test_a_worker_ends_its_former_session_that_still_holds_its_lock() -> None:
    registration = Registration(WORKER)
    former = registration.connection
    with pytest.raises(psycopg2.OperationalError, match="still held"):
        registration.take()
    until(lambda: registration.check() and registration.connection is not former, timeout=10)
    former.close()
    registration.leave()


def test_jobs_run_and_a_stopped_leader_is_replaced(database: dict[str, Any], tmp_path: Path) -> None:
    environ = settings_of(DATABASES={"default": database})
    with candidate(tmp_path / "leader", **environ) as first:
        until(lambda: first.terms() == 1, timeout=30)
        with running_worker(tmp_path / "worker", **environ):
            assert ended(enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}).id)[0].status == "completed"
            os.kill(first.process.pid, signal.SIGSTOP)
            try:
                assert ended(enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}).id)[0].status == "completed"
            finally:
                os.kill(first.process.pid, signal.SIGCONT)
        assert WON in (tmp_path / "worker").read_text()
