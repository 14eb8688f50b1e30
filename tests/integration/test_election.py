"""One leader, however many stand by; the next one takes over when it is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connection

from jobs import enqueue_many
from jobs.models import Job
from jobs.store import locks
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
    assert taken < 3, "each standby tries twice a second"
    assert sorted(terms) == [0, 1, 1]
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
