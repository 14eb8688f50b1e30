"""One leader, however many stand by; the next one takes over when it is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from jobs import enqueue_many
from jobs.domain.priority import lane_of
from jobs.leader import election, publish
from jobs.models import Job
from jobs.store import broker, locks
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
WON = "This process is the leader now"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One `manage.py dispatch` and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def terms(self) -> int:
        """How often it became the leader."""
        return self.log.read_text().count(WON)


@contextmanager
def candidate(log: Path, **extra: str) -> Iterator[Candidate]:
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "manage.py", "dispatch"], cwd=ROOT, env=environment(**extra), stdout=out, stderr=out)
    try:
        yield Candidate(process, log)
    finally:
        process.kill()
        process.wait(10)


def holders() -> list[int]:
    """The sessions that hold the leader's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            locks.LEADER,
        )
        return [row[0] for row in cursor.fetchall()]


def leader(candidates: list[Candidate]) -> Candidate:
    """The one that leads; the others stand by."""
    living = [one for one in candidates if one.process.poll() is None]
    until(lambda: holders() and any(one.terms() for one in living), timeout=30, what="one leads")
    (leading,) = [one for one in living if one.terms()]
    return leading


def test_a_standby_takes_over_when_the_leader_is_killed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        candidates = [stack.enter_context(candidate(tmp_path / f"log-{n}")) for n in range(3)]
        first = leader(candidates)
        until(lambda: _standing_by() == 2, timeout=30, what="the two others stand by")
        (session,) = holders()
        stack.enter_context(running_worker(tmp_path / "worker", JOBS_LEADER_CHILD="False"))
        ids = enqueue_many("jobs.tasks.sleep", [((0.02,), {})] * 200)
        until(lambda: Job.objects.filter(status="completed").count() > 20, timeout=30)
        os.kill(first.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        until(lambda: session not in holders(), timeout=5)
        until(holders, timeout=5, every=0.005)
        taken = time.monotonic() - killed
        assert len(holders()) == 1
        until(lambda: Job.objects.filter(id__in=ids, status="completed").count() == 200, timeout=30)
        second = leader([one for one in candidates if one is not first])
        terms = [one.terms() for one in candidates]
        said = "\n".join(one.log.read_text() for one in candidates)
    assert taken < 3, "each standby tries twice a second"
    assert sorted(terms) == [0, 1, 1], said
    assert second is not first
    assert set(Job.objects.values_list("runs", flat=True)) == {1}


def _standing_by() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_stat_activity
                WHERE application_name LIKE 'jobs leader%%' AND datname = current_database() AND pid <> ALL (%s)""",
            [holders()],
        )
        return int(cursor.fetchone()[0])


def test_a_stopped_leader_is_replaced_and_stands_by_when_it_goes_on(tmp_path: Path) -> None:
    with ExitStack() as stack:
        candidates = [stack.enter_context(candidate(tmp_path / f"log-{n}")) for n in range(2)]
        first = leader(candidates)
        until(lambda: _standing_by() == 1, timeout=30)
        (session,) = holders()
        os.kill(first.process.pid, signal.SIGSTOP)
        until(lambda: holders() not in ([], [session]), timeout=15, what="the standby has ended the silent session")
        os.kill(first.process.pid, signal.SIGCONT)
        until(lambda: "starts over" in first.log.read_text() and _standing_by() == 1, timeout=15)
        assert len(holders()) == 1
        assert [one.terms() for one in candidates] == [1, 1]


def test_a_locked_table_costs_no_term(tmp_path: Path) -> None:
    """The leader keeps its lock, says once what keeps it from its work, and goes on with what it had sent and what is new."""
    client, lane = broker.client(settings.CELERY_BROKER_URL), publish.key(("celery", lane_of(5)))
    client.flushdb()
    worker = Registration(WORKER)  # nobody pops
    with candidate(tmp_path / "log") as one:
        until(one.terms, timeout=30)
        (session,) = holders()
        enqueue_many("jobs.tasks.sleep", [((0,), {})] * 2)
        until(lambda: client.llen(lane) == 2, timeout=20)
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE")
            waits: set[Any] = set()
            until(lambda: waits.update(_waiting(session)) or len(waits) >= 3, timeout=30, every=0.01, what="it tries again")
            assert holders() == [session]
            cursor.execute("ROLLBACK")
        enqueue_many("jobs.tasks.sleep", [((0,), {})])
        until(lambda: client.llen(lane) == 3, timeout=20)
        assert (holders(), one.terms()) == ([session], 1)
        assert one.log.read_text().count("lock timeout") == 1
    worker.leave()


def _waiting(session: int) -> list[Any]:
    """When the statement began with which this session waits for a lock, if it does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT query_start FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", [session])
        return [begun for (begun,) in cursor.fetchall()]


def test_what_a_leader_that_begins_anew_has_left_in_its_session() -> None:
    with closing(election.connect()) as session, session.cursor() as cursor:
        assert election.elect(session, threading.Event())
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", locks.SLEEPING)
        cursor.execute("NOTIFY jobs_due; PREPARE one AS SELECT 1; BEGIN")
        with suppress(psycopg2.Error):
            cursor.execute("SELECT 1 / 0")
        election.begin_anew(session)
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT classid::int, objid::int FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'")
        assert cursor.fetchall() == [locks.LEADER]
        assert session.notifies == []
        election.begin_anew(session)
