"""What a database or a role sets for all its sessions: isolation, how literals are read, and no writes."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gevent
import psycopg2
import pytest
from celery import current_app
from django.db import connection
from django.utils import translation

from jobs import checks, enqueue
from jobs.models import Job
from jobs.store import engine, stats
from jobs.store.transitions import ESCAPED, Run
from jobs.worker import bootsteps
from tests.green_engine import group_commit
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
    (said,) = checks.check_server(["default"])
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


def test_the_check_says_nothing_of_a_usual_database() -> None:
    assert checks.check_server(["default"]) == []


@pytest.mark.parametrize("set_for_all", [("default_transaction_read_only", "on")], indirect=True)
def test_a_server_that_takes_no_writes_is_one_line_and_a_reason(set_for_all: None) -> None:
    command = [sys.executable, "manage.py", "enqueue", "jobs.tasks.sleep", "--args=[0]"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert "read-only transaction" in line
    with translation.override("en"):
        assert "PostgreSQL takes no writes now (read-only)." in stats.readiness()


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
