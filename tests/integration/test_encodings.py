"""Errors in Arabic, whatever encoding the environment, the role or the database has."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from jobs import enqueue
from jobs.models import Job
from jobs.store import engine
from task_queue_project import servers
from tests.integration.test_engine import ended
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ARABIC = {"LANGUAGE_CODE": "ar", "JOBS_RETRY_BACKOFF": "0.05"}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_engine_connection_speaks_utf_8(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    for direct in ("", environment()["DATABASE_URL"]):
        monkeypatch.setattr(settings, "JOBS_DATABASE_DIRECT_URL", direct)
        found = engine.connect("test")
        with found.cursor() as cursor:
            cursor.execute("SELECT %s, current_setting('client_encoding')", ["فشل"])
            assert cursor.fetchone() == ("فشل", "UTF8")
        found.close()


@pytest.mark.parametrize("where", [pytest.param("environment", marks=pytest.mark.slow), "role"])
def test_an_error_in_arabic_is_retried(tmp_path: Path, where: str) -> None:
    with connection.cursor() as cursor:
        if where == "role":
            cursor.execute("ALTER ROLE postgres SET client_encoding = 'LATIN1'")
        try:
            with running_worker(tmp_path / "log", **ARABIC, **({"PGCLIENTENCODING": "LATIN1"} if where == "environment" else {})):
                (job,) = ended(enqueue("jobs.tasks.fail", kwargs={"message": "فشل"}, max_retries=1).id)
        finally:
            cursor.execute("ALTER ROLE postgres RESET client_encoding")
    assert (job.status, job.attempts) == ("failed", 2)
    assert set(Job.objects.get(id=job.id).attempt_set.values_list("message", flat=True)) == {"فشل"}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow) for name in ("LATIN1", "SQL_ASCII")])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database that was made with that encoding."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE elsewhere ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        yield urlunsplit(urlsplit(environment()["DATABASE_URL"])._replace(path="/elsewhere"))
        cursor.execute("DROP DATABASE elsewhere WITH (FORCE)")


def manage(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environ = environment(DATABASE_URL=url)
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_database_of_another_encoding_is_told_and_loses_no_error(elsewhere: str, tmp_path: Path) -> None:
    said = manage(elsewhere, "check", "--database", "default")
    assert said.returncode != 0
    assert "jobs.E009" in said.stderr
    assert manage(environment()["DATABASE_URL"], "check", "--database", "default").returncode == 0
    assert manage(elsewhere, "migrate", "-v", "0", "--skip-checks").returncode == 0
    with running_worker(tmp_path / "log", DATABASE_URL=elsewhere, **ARABIC):
        session = servers.connect(elsewhere, timeout=5)
        session.set_client_encoding("UTF8")
        try:
            assert manage(elsewhere, "enqueue", "t.fails_in_arabic", "--max-retries", "1").returncode == 0
            until(lambda: counted(session) == [("failed",)], timeout=30, what="it has ended")
            with session, session.cursor() as cursor:
                cursor.execute("SELECT error_class, message FROM jobs_attempt")
                found = cursor.fetchall()
        finally:
            session.close()
    assert len(found) == 2
    assert {error_class for error_class, _ in found} == {"ValueError"}
    assert "UnicodeEncodeError" not in (tmp_path / "log").read_text()


def counted(session: psycopg2.extensions.connection) -> list[tuple[str]]:
    with session, session.cursor() as cursor:
        cursor.execute("SELECT status FROM jobs_job WHERE finished_at IS NOT NULL ORDER BY id")
        return cursor.fetchall()
