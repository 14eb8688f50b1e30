"""When the leader takes the jobs of a worker without a lock away."""

from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import psycopg2
import pytest

from jobs.leader import rescue
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
