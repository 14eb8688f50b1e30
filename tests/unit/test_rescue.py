"""When the leader takes the jobs of a worker without a lock away."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from unittest import mock

import psycopg2
import pytest
from django.utils import timezone

from jobs.leader import rescue
from jobs.models import Job
from jobs.store import engine
from tests.rows import job_in
from tests.unit.test_leader_pace import BUSY


@pytest.mark.parametrize(
    ("age", "is_rescued"),
    [
        (rescue.SETTLE - 0.1, False),  # seconds since the server's start
        (rescue.SETTLE + 0.1, True),
        (-3600.0, True),  # the database's clock was set back by an hour since then
    ],
)
def test_after_a_start_of_the_server_its_workers_have_a_moment(monkeypatch: pytest.MonkeyPatch, age: float, is_rescued: bool) -> None:
    now = [100.0]
    monkeypatch.setattr(rescue, "time", SimpleNamespace(monotonic=lambda: now[0]))
    one = rescue.Rescue(mock.MagicMock(), again=False)
    dead: list[int] = []
    monkeypatch.setattr(one, "_lost", lambda cursor, workers: bool(dead.extend(workers)))
    for _ in range(2):
        one.look(replace(BUSY, age=age, held=set()))
        now[0] += rescue.APART
    assert dead == ([1] if is_rescued else [])


def test_after_its_own_reconnect_the_leader_gives_workers_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has cut its connection has cut theirs: they take their locks again."""
    now = [100.0]
    monkeypatch.setattr(rescue, "time", SimpleNamespace(monotonic=lambda: now[0]))
    one = rescue.Rescue(mock.MagicMock(), again=True)
    dead: list[float] = []
    monkeypatch.setattr(one, "_lost", lambda cursor, workers: bool(dead.append(now[0])))
    while not dead:
        one.look(replace(BUSY, held=set()))
        now[0] += 0.5
    assert dead == [100.0 + rescue.SETTLE]


def test_what_is_refused_at_each_round_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A trigger, a disk that is full: the rows of a dead worker are tried again twice a second."""
    one = rescue.Rescue(mock.MagicMock(closed=0), again=False)

    def refused() -> None:
        raise psycopg2.errors.RaiseException("not today")

    assert [one._write(mock.Mock(), refused) for _ in range(5)] == [False] * 5
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", "A run cannot be rescued: not today")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["lost", "late"])
def test_runs_that_cannot_be_rescued_keep_no_other_from_it(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A trigger of the project refuses some of them at each round; a round has so many rows at most."""
    for name in ("_LOST", "_LATE"):
        monkeypatch.setattr(rescue, name, getattr(rescue, name).replace(f"LIMIT {rescue.MOST}", "LIMIT 2"))
    odd, job = [job_in("running").pk for _ in range(2)], job_in("running")
    Job.objects.filter(pk__in=odd).update(name="odd")
    Job.objects.update(deadline_at=timezone.now() - timedelta(minutes=1))
    with closing(engine.connect("rescue")) as connection, connection.cursor() as cursor:
        cursor.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
               CREATE TRIGGER refuse BEFORE UPDATE ON jobs_job FOR EACH ROW WHEN (NEW.name = 'odd') EXECUTE FUNCTION refuse()"""
        )
        try:
            one = rescue.Rescue(connection, again=False)
            look = partial(one._lost, cursor, [1]) if how == "lost" else partial(one._late, cursor)
            assert any(look() for _ in range(40))
        finally:
            cursor.execute("DROP FUNCTION refuse CASCADE")
    assert set(Job.objects.values_list("pk", "status")) == {*((pk, "running") for pk in odd), (job.pk, "pending")}
