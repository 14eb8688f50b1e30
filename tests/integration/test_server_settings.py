"""What a database or a role sets for all its sessions: isolation, how literals are read, and no writes."""

import io
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import wraps
from typing import Any

import gevent
import psycopg2
import pytest
from celery import current_app
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.utils import translation

from jobs import database_checks, enqueue, enqueue_many
from jobs.models import Job
from jobs.store import engine, numbering, readiness
from jobs.store.transitions import ESCAPED, Run
from jobs.worker import bootsteps
from tests.green_engine import group_commit
from tests.rows import job_in
from tests.workers import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def set_for_all(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    """Sessions that begin from now on have it; this one too."""
    name, value = request.param
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} SET {name} = '{value}'")
        cursor.execute(f"SET {name} = '{value}'")
        yield
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute(f"ALTER DATABASE {connection.settings_dict['NAME']} RESET {name}")
    connection.close()


@pytest.mark.parametrize("set_for_all", [("default_transaction_isolation", "repeatable read")], indirect=True)
def test_the_engine_reads_what_is_committed_and_the_check_tells_the_others(set_for_all: None) -> None:
    with closing(engine.connect("jobs-test")) as session, session.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("read committed",)
    (said,) = database_checks.check_server(["default"])
    assert (said.id, "repeatable read" in str(said.msg), bool(said.hint)) == ("jobs.W005", True, True)


READ_OTHERWISE = [("array_nulls", "off"), ("standard_conforming_strings", "off"), ("extra_float_digits", "-15")]


@pytest.mark.parametrize("set_for_all", READ_OTHERWISE, indirect=True)
def test_how_a_session_would_read_literals_changes_nothing_that_the_engine_writes(set_for_all: None) -> None:
    """Of two that end together one has no result: its place among the results is a NULL."""
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    runs = [Run(id=enqueue("t.same", args=["C:\\1"]).id, runs=1) for _ in range(2)]
    with group_commit() as made:
        asked = [gevent.spawn(made.claim, run, Job.objects.get(pk=run.id).task_id, "celery", 5) for run in runs]
        assert [each.get() for each in asked] == [True, True]
        ends = [gevent.spawn(made.complete, run, result) for run, result in zip(runs, ('"C:\\\\1"', None), strict=True)]
        assert [each.get() for each in ends] == [True, True]
        assert abs(made.registration.skew) < 60, "the same machine"
    found = Job.objects.filter(pk__in=[run.id for run in runs]).order_by("pk")
    assert list(found.values_list("status", "args", "result")) == [("completed", ["C:\\1"], "C:\\1"), ("completed", ["C:\\1"], None)]


@pytest.mark.parametrize("set_for_all", READ_OTHERWISE[1:2], indirect=True)
def test_what_looks_for_escapes_finds_them_whatever_a_backslash_is(set_for_all: None) -> None:
    with closing(engine.connect("jobs-test")) as session, session.cursor() as cursor:
        cursor.execute(f"SELECT 'a' {ESCAPED}, %s {ESCAPED}", ["a\\b"])
        assert cursor.fetchone() == (False, True)
    stamped = enqueue("jobs.tasks.sleep", args=[0])
    Job.objects.filter(pk=stamped.pk).update(options={"headers": {"stamps": {"team": ["a"]}, "odd": "\0"}})
    current_app.control.revoke_by_stamped_headers({"team": "a"})
    assert Job.objects.get(pk=stamped.pk).status == "cancelled"


def test_parameters_of_a_backend_of_its_own_are_not_given_to_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    """django-db-geventpool adds MAX_CONNS and REUSE_CONNS to those of Django."""
    given = connection.get_connection_params() | {"MAX_CONNS": 6, "REUSE_CONNS": 6}
    monkeypatch.setattr(connection, "get_connection_params", lambda: given)
    with closing(engine.connect("jobs-test")) as session, session.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (given["dbname"],)
    known = {"dbname": "d", "database": "d", "port": 1, "sslmode": "require", "options": "-c a=b", "passfile": "f", "service": "s"}
    assert engine.of_libpq(known | {"cursor_factory": object, "context": None, "prepare_threshold": None, "x y": 1}) == known


class Traced:
    """What a tracing library puts in the place of psycopg2.connect."""

    def __init__(self, wrapped: Any, seen: list[str]) -> None:
        self.__wrapped__, self.seen = wrapped, seen

    def __call__(self, *words: Any, **options: Any) -> Any:
        self.seen.append(options["application_name"])
        return self.__wrapped__(*words, **options)


def test_the_engine_s_statements_are_in_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling by itself, it would begin one trace after another."""
    seen: list[str] = []
    monkeypatch.setattr(psycopg2, "connect", Traced(Traced(psycopg2.connect, seen), seen))
    engine.connect("jobs-test").close()
    assert seen == []
    traced = psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", wraps(traced)(lambda *words, **options: traced(*words, **options)))
    engine.connect("jobs-own").close()
    assert seen == ["jobs-own"] * 2, "a function of the project's own is not passed by"


def test_the_check_says_nothing_of_a_usual_database() -> None:
    assert database_checks.check_server(["default"]) == []
    job_in("failed")
    assert database_checks.check_numbers(["default"]) == []


def test_sequences_that_lag_behind_their_rows_are_told() -> None:
    """As after a switch by logical replication; what the hint says mends it."""
    job_in("failed")
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE jobs_job_id_seq RESTART; ALTER SEQUENCE jobs_deadletterqueue_id_seq RESTART")
    found = database_checks.check_numbers(["default"])
    assert {message.id for message in found} == {"jobs.W012"}
    assert sorted(re.findall(r"[a-z.]*jobs_\w+_seq", "".join(str(message.msg) for message in found))) == [
        "public.jobs_deadletterqueue_id_seq", "public.jobs_job_id_seq",
    ]  # fmt: skip
    said = io.StringIO()
    call_command("sqlsequencereset", "jobs", stdout=said, no_color=True)
    with connection.cursor() as cursor:
        cursor.execute(said.getvalue())
    assert database_checks.check_numbers(["default"]) == []
    job_in("failed")


def test_an_account_without_the_right_on_the_sequence_is_told() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE jobs_app; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO jobs_app")
        try:
            cursor.execute("SET ROLE jobs_app")
            (said,) = database_checks.check_numbers(["default"])
            assert (said.id, "jobs_job_id_seq" in str(said.hint)) == ("jobs.W011", True)
            with pytest.raises(ProgrammingError, match="permission denied for sequence"):
                enqueue_many("jobs.tasks.sleep", [((0,), {})] * 2)
            enqueue("jobs.tasks.sleep", args=[0])
            cursor.execute("RESET ROLE; GRANT USAGE ON SEQUENCE jobs_job_id_seq TO jobs_app; SET ROLE jobs_app")
            assert database_checks.check_numbers(["default"]) == []
            enqueue_many("jobs.tasks.sleep", [((0,), {})] * 2)
        finally:
            cursor.execute("RESET ROLE; DROP OWNED BY jobs_app; DROP ROLE jobs_app")


def test_before_the_tables_are_made_there_is_nothing_to_say() -> None:
    """`migrate` asks too."""
    with connection.cursor() as cursor:
        assert numbering.sequences(cursor, ["jobs_missing"]) == {}


@pytest.mark.parametrize("set_for_all", [("default_transaction_read_only", "on")], indirect=True)
def test_a_server_that_takes_no_writes_is_one_line_and_a_reason(set_for_all: None) -> None:
    command = [sys.executable, "manage.py", "enqueue", "jobs.tasks.sleep", "--args=[0]"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert "read-only transaction" in line
    with translation.override("en"):
        assert "PostgreSQL is not accepting writes (read-only)." in readiness.reasons()


def test_a_worker_that_cannot_register_says_so_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    tries = iter([psycopg2.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction\n")] * 3 + [None])
    pauses: list[float] = []

    def register(_description: Any) -> str:
        if error := next(tries):
            raise error
        return "registered"

    monkeypatch.setattr(bootsteps, "Registration", register)
    monkeypatch.setattr(bootsteps.time, "sleep", pauses.append)
    with caplog.at_level(logging.ERROR, "jobs.worker"):
        assert bootsteps.Engine._register(bootsteps.Engine.__new__(bootsteps.Engine), {}) == "registered"  # type: ignore[comparison-overlap]
    assert pauses == [1, 1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "the worker cannot register yet: cannot execute INSERT in a read-only transaction"
    ]
