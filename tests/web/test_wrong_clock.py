"""Pages, forms and commands on a host whose clock is wrong by a quarter of an hour: the database's counts."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from jobs.domain.statuses import State
from jobs.management.commands.jobs import overview
from jobs.models import Job
from jobs.store import clock, history, stats
from jobs.web import times
from jobs.web.forms import not_past

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=[15, -15])
def now(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """What the database says, as far as this host knows."""
    shift = timedelta(minutes=request.param)
    monkeypatch.setattr(clock, "_skew", clock._Skew())
    monkeypatch.setattr(clock, "now", lambda cursor=None: datetime.now(UTC) + shift)
    return datetime.now(UTC) + shift


def made(worker: int | None, moment: datetime) -> int:
    """A job that is due then, or has been running on this worker since then."""
    status, started = ("pending", None) if worker is None else ("running", moment)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, created_at, run_at, started_at, worker, runs)
               VALUES ('jobs.tasks.sleep', %s, %s, %s, %s, %s, %s) RETURNING id""",
            [status, moment - MINUTE, moment, started, worker, int(worker is not None)],
        )
        return int(cursor.fetchone()[0])


def text(client: Client, address: str) -> str:
    return re.sub("[\u2066-\u2069]|<[^>]+>", "", client.get(address).content.decode())


def test_what_is_due(sara: Client, worker: int, now: datetime) -> None:
    due, later = made(None, now - 2 * MINUTE), made(None, now + 10 * MINUTE)
    rows = re.findall(r'id="pick-(\d+)".*?class="state state-(\w+)"', sara.get("/jobs/").content.decode())
    assert rows == [(str(later), "scheduled"), (str(due), "queued")], "on the first page that a process shows too"
    assert [Job.objects.get(pk=pk).state for pk in (due, later)] == [State.QUEUED, State.SCHEDULED]
    for state, number in ((State.QUEUED, due), (State.SCHEDULED, later)):
        assert [job.pk for job in Job.objects.filter(stats.in_state(state))] == [number]
        assert re.findall(r'href="/jobs/(\d+)/"', sara.get(f"/jobs/?status={state.value}").content.decode()) == [str(number)]
    assert "It is scheduled for" not in text(sara, f"/jobs/{due}/")
    assert re.search(r"It is scheduled for .*, in 9 min and \d+ s\.", text(sara, f"/jobs/{later}/"))
    found = overview()
    assert found["not_due"] == 1
    assert 100 < found["oldest_waiting"]["seconds"] < 300


def test_how_long_it_has_been_running(sara: Client, worker: int, now: datetime) -> None:
    number = made(worker, now - 5 * MINUTE)
    assert "has been running it for 5 min" in text(sara, f"/jobs/{number}/")
    assert "running: 5 min" in sara.get(f"/jobs/{number}/").content.decode(), "on the line of its life"
    assert re.search(r"\b5:\d\d<", sara.get("/jobs/").content.decode())
    assert re.search(r"5 min( and \d+ s)? of its time limit", sara.get("/jobs/workers/").content.decode())


def test_what_is_past(now: datetime) -> None:
    moment = now + 5 * MINUTE
    assert not_past(moment) == moment
    call_command("enqueue", "jobs.tasks.fail", "--run-at", moment.isoformat(), stdout=StringIO())
    with pytest.raises(ValidationError):
        not_past(now - 5 * MINUTE)
    with pytest.raises(CommandError, match="past"):
        call_command("enqueue", "jobs.tasks.fail", "--run-at", (now - 5 * MINUTE).isoformat())


def test_what_the_charts_show_and_which_day_it_is(sara: Client, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[datetime] = []
    monkeypatch.setattr("jobs.web.views.dashboard.history", lambda period, moment: asked.append(moment) or history.history(period, moment))
    assert sara.get("/").status_code == 200
    assert [abs(moment - now) < MINUTE for moment in [*asked, times.local()]] == [True, True]
