"""How often the leader looks at what runs, and how it waits while more is due than there is room for."""

from dataclasses import replace
from math import inf
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from jobs.domain import pace
from jobs.domain.pace import DEAR
from jobs.leader import dispatch
from jobs.leader.load import Load
from jobs.leader.look import Reading, Seen

IDLE = Seen(
    workers={1: (None, ["celery"])}, holders=set(), late=False, suspects=False, acts=False, notices=False, revoked=False, age=60.0,
    held={1}, is_private=False, seconds=0.001, clock=Reading(at=0.0, asked=0.0, answered=0.0),
)  # fmt: skip
BUSY = replace(IDLE, holders={1}, suspects=True, acts=True, notices=True, is_private=True)


@pytest.mark.parametrize(
    ("seen", "is_open", "pace"),
    [
        (IDLE, True, dispatch.REST),
        (BUSY, True, dispatch.LOOK),
        (replace(BUSY, seconds=DEAR + 0.01), True, dispatch.REST),
        (IDLE, False, dispatch.LOOK),  # without Redis it must not seem stopped
    ],
)
def test_a_look_is_made_oftener_while_something_runs_and_it_is_cheap(
    monkeypatch: pytest.MonkeyPatch, seen: Seen, is_open: bool, pace: float
) -> None:
    monkeypatch.setattr(dispatch.look, "look", lambda cursor, before: seen)
    load = Load()
    leader = dispatch.Leader(mock.MagicMock(), mock.MagicMock(is_open=is_open), load, again=False)
    leader.look()
    assert leader.pace == pace
    assert leader.rescue.live == {1: ["celery"]}
    assert (load.acts.is_set(), load.notices.is_set(), leader.look_for_suspect) == (seen.acts, seen.notices, seen.suspects)
    assert leader.told.is_private == seen.is_private
    load.clear()
    assert [load.acts.is_set(), load.notices.is_set()] == [False, False]


def test_a_dear_look_at_what_runs_is_made_rarely_and_the_rest_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], list[set[int] | None]()

    def look(cursor: Any, before: set[int] | None) -> Seen:
        asked.append(before)
        return replace(BUSY, holders={1, 2}, seconds=0.03) if before is None else replace(BUSY, holders=before)

    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(dispatch.look, "look", look)
    leader = dispatch.Leader(mock.MagicMock(), mock.MagicMock(is_open=True), Load(), again=False)
    for second in (0.0, 1.0, 1.4, 1.6, 2.0):
        now[0] = 100.0 + second
        leader.look()
        assert leader.pace == dispatch.REST
        assert set(leader.rescue.free) == {2}, "the worker without a lock is still seen"
    assert asked == [None, {1, 2}, {1, 2}, None, {1, 2}]


@pytest.mark.parametrize(("takes", "pause"), [(0.0, 0.0), (DEAR, 0.0), (0.04, 2.0), (0.2, 5.0), (0.5, 5.0), (2.0, 20.0)])
def test_of_the_time_a_fiftieth_is_spent_on_what_is_dear_and_a_tenth_at_most(takes: float, pause: float) -> None:
    assert pace.pause(takes) == pytest.approx(pause)


class Waits:
    """A leader with more due than there is room for, at a clock that only its waits move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lying: int, rate: float, insert_after: float = 9.0) -> None:
        self.now, self.insert_after, self.waits = 100.0, insert_after, list[tuple[str, float]]()
        monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=lambda s: self._pass("awake", s)))
        monkeypatch.setattr(dispatch, "select", SimpleNamespace(select=self._select))
        self.leader = dispatch.Leader(
            mock.MagicMock(notifies=[]), mock.MagicMock(is_open=True, **{"trouble.return_value": None}), Load(), again=False
        )
        self.leader.cursor.fetchone.return_value = (True,)  # the lock of those who sleep
        self.leader.rescue.live = {1: ["celery"]}
        self.leader.window.add(("celery", 4), [(id, 0, 5) for id in range(lying)])
        self.leader.looked, self.leader.rate = self.now, rate
        monkeypatch.setattr(self.leader, "pause", lambda: dispatch.LOOK)

    def _pass(self, how: str, seconds: float) -> None:
        self.now += seconds
        self.waits.append((how, round(seconds, 4)))

    def _select(self, connections: Any, _write: Any, _error: Any, seconds: float) -> tuple[list[Any], list[Any], list[Any]]:
        self._pass("asleep", min(seconds, self.insert_after))
        return (connections if self.insert_after < seconds else [], [], [])

    def wait(self, times: int) -> list[tuple[str, float]]:
        for _ in range(times):
            self.leader.wait(True)
        return self.waits


@pytest.mark.parametrize(
    ("lying", "rate", "waits"),
    [
        (64, 2000.0, [("awake", 0.016)] * 2),  # half of 64 in 16 ms
        (32, 100.0, [("awake", 0.002)] * 2),
        (64, 1000.0, [("awake", dispatch.AWAKE)] * 2),  # in 32 ms
        (64, 400.0, [("asleep", 0.08)]),  # the first call asks for the lock, and looks once more
        (64, 10.0, [("asleep", dispatch.CALM)]),  # at most: what comes next may be quicker
    ],
)
def test_it_sleeps_until_half_of_the_window_is_worked_off(
    monkeypatch: pytest.MonkeyPatch, lying: int, rate: float, waits: list[tuple[str, float]]
) -> None:
    assert Waits(monkeypatch, lying=lying, rate=rate).wait(2) == waits


def test_inserts_that_come_one_upon_the_other_wake_it_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks often for a while, which tells those who insert that they need not notify."""
    waits = Waits(monkeypatch, lying=64, rate=10.0, insert_after=0.001)
    assert waits.wait(3) == [("asleep", 0.001)] * 2
    assert waits.leader.asleep is False
    awake = round(dispatch.CALM / dispatch.AWAKE)
    assert waits.wait(awake)[2:] == [("awake", dispatch.AWAKE)] * awake
    assert ("asleep", 0.001) in waits.wait(3)[2 + awake :]


@pytest.mark.parametrize(("told", "late", "looks"), [(False, 0.0, 1), (True, 0.0, 0), (True, dispatch.AFTER + 0.01, 1)])
def test_what_was_just_inserted_goes_before_a_look(monkeypatch: pytest.MonkeyPatch, told: bool, late: float, looks: int) -> None:
    """Those who insert all the time do not keep it from looking."""
    waits = Waits(monkeypatch, lying=0, rate=0.0, insert_after=0.0 if told else 9.0)
    seen: list[float] = []
    monkeypatch.setattr(waits.leader, "look", lambda: seen.append(waits.now))
    monkeypatch.setattr(waits.leader, "fill", lambda now: False)
    waits.leader.asleep = True
    waits.leader.wait(False)
    assert waits.leader.is_told is told
    waits.now = waits.leader.looked + waits.leader.pace + late
    waits.leader.tick()
    assert len(seen) == looks
    waits.leader.tick()  # nobody has told it anything since
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("looked", "due", "pause"),
    [
        (0.0, inf, dispatch.REST),
        (-2.0, inf, dispatch.QUIET),
        (-2.0, 0.005, 0.005),
        (dispatch.QUIET - dispatch.REST + 0.1, inf, dispatch.QUIET + 0.1),
    ],
)
def test_a_look_waits_until_what_was_just_sent_is_claimed(monkeypatch: pytest.MonkeyPatch, looked: float, due: float, pause: float) -> None:
    """Seconds from the moment at which it was told, and the pause then; what becomes due does not wait."""
    leader = dispatch.Leader(mock.MagicMock(), mock.MagicMock(), Load(), again=False)
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: 100.0))
    leader.notified, leader.looked, leader.pace, leader.next_due = 100.0, 100.0 + looked, dispatch.REST, 100.0 + due
    assert leader.pause() == pytest.approx(pause)


@pytest.mark.parametrize(("left", "believed"), [(60, 600.0), (10, 200.0 + 0.2 * (100.0 - 200.0))])
def test_a_window_that_is_found_nearly_empty_was_worked_off_quicker_than_believed(
    monkeypatch: pytest.MonkeyPatch, left: int, believed: float
) -> None:
    """Then the pace is what was found; else it is smoothed, as single looks tell little."""
    waits = Waits(monkeypatch, lying=64, rate=200.0)
    waits.leader.load.crowded, waits.leader.measured, waits.now = True, 100.0, 100.1
    waits.leader.link.line.ask_all.return_value = [64 - left]  # type: ignore[attr-defined]
    waits.leader.push({})
    assert waits.leader.rate == pytest.approx(believed)
    waits.leader.load.crowded = False
    waits.leader.push({})
    assert waits.leader.rate == dispatch.UNKNOWN  # lone jobs now and then say nothing of a flood
