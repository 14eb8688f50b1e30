"""The database's clock is set while jobs run, by an administrator, or since its machine has slept."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from jobs.leader import look
from jobs.leader.rescue import Rescue
from jobs.models import Job
from jobs.store.engine import connect
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = 3600.0


class Leader:
    """Looks as a leader does, for late jobs alone."""

    def __init__(self, session: Any) -> None:
        self.cursor = session.cursor()
        self.rescue = Rescue(session, again=False)
        self.rescue.not_before = float("inf")  # no worker is declared dead
        self.look()

    def look(self) -> bool:
        return self.rescue.look(look.look(self.cursor))

    def set_clock(self, seconds: float) -> None:
        """From what was read and written before, the clock is so far away as if it had been set."""
        ago = timedelta(seconds=seconds)
        Job.objects.update(started_at=F("started_at") - ago, deadline_at=F("deadline_at") - ago)
        last = self.rescue.steps.last
        assert last is not None
        self.rescue.steps.last = replace(last, at=last.at - seconds)


@pytest.fixture
def leader() -> Iterator[Leader]:
    session = connect("clock-steps-test")
    try:
        yield Leader(session)
    finally:
        session.close()


def deadline_of(job: Job) -> datetime:
    """Of a job that still runs."""
    found = Job.objects.get(id=job.id, status="running").deadline_at
    assert found is not None
    return found


def moved(job: Job, since: datetime) -> float:
    """Seconds by which its deadline is another one now. The leader knows to a look by how much the clock was set."""
    return (deadline_of(job) - since).total_seconds()


@pytest.mark.parametrize("seconds", [2 * HOUR, 4.0, -4.0, -2 * HOUR])
def test_a_run_keeps_the_time_that_it_has_left(leader: Leader, seconds: float) -> None:
    """Also one that has begun since the clock was read last; one that goes by the new clock already is not given it twice."""
    before, endless = job_in("running", timeout=600), job_in("running", timeout=None)
    if seconds < 0:
        Job.objects.filter(id=before.id).update(started_at=F("started_at") - timedelta(seconds=60))
    deadline = deadline_of(before)
    leader.set_clock(seconds)
    after = job_in("running", timeout=300)
    afterwards = deadline_of(after)
    for _ in range(2):
        assert leader.look() is False
        assert moved(before, deadline) == pytest.approx(0, abs=1.5)
        assert moved(after, afterwards) in ((0.0,) if abs(seconds) > HOUR or seconds < 0 else (0.0, pytest.approx(seconds, abs=1.5)))
    assert Job.objects.get(id=endless.id).deadline_at is None


def test_a_clock_that_is_as_it_was_moves_nothing(leader: Leader) -> None:
    job = job_in("running", timeout=600)
    deadline = deadline_of(job)
    leader.set_clock(0.5)  # it is corrected in small steps all the time
    leader.look()
    assert moved(job, deadline) == -0.5


def test_a_row_that_somebody_has_locked_is_waited_for_by_nobody_and_is_not_late(leader: Leader) -> None:
    free, locked = job_in("running", timeout=600), job_in("running", timeout=600)
    deadlines = [deadline_of(job) for job in (free, locked)]
    leader.set_clock(HOUR)
    with transaction.atomic():
        Job.objects.select_for_update().get(id=locked.id)
        assert leader.look() is False
        assert [moved(job, since) for job, since in zip((free, locked), deadlines, strict=True)] == [pytest.approx(0, abs=1.5), -HOUR]
        assert [run.id for run in leader.rescue.steps.owed] == [locked.id]
    assert leader.look() is False
    assert moved(locked, deadlines[1]) == pytest.approx(0, abs=1.5)
    assert leader.rescue.steps.owed == {}


def test_what_is_really_late_is_taken_away_all_the_same(leader: Leader) -> None:
    late = job_in("running", timeout=10, max_retries=0)
    Job.objects.update(started_at=F("started_at") - timedelta(seconds=20), deadline_at=F("deadline_at") - timedelta(seconds=20))
    leader.set_clock(HOUR)
    assert leader.look() is True
    assert Job.objects.get(id=late.id).status == "failed"
