"""When a standby ends the session of the leader."""

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.leader import election
from jobs.leader.election import ACTIVE, IDLE, PAUSE, Watch
from jobs.store.sender import APART, PATIENCE, Elsewhere

SEVEN = "2026-01-01 07:00:00+00"  # by the database's clock, which says nothing


class Standby:
    """Looks at a session twice a second, by a clock that only this test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.ended, self.asked = 100.0, list[int](), ""
        self.holder: tuple[int, bool, str] | None = None
        self.watch = Watch()
        monkeypatch.setattr(election, "time", SimpleNamespace(monotonic=lambda: self.now))

    def execute(self, statement: str, values: Any = None) -> None:
        self.asked = statement

    def fetchone(self) -> tuple[int, bool, str] | None:
        return self.holder

    def fetchall(self) -> list[tuple[bool]]:
        assert self.asked == election._END
        assert self.holder is not None
        self.ended.append(self.holder[0])
        return [(True,)]

    def see(self, *holder: Any, seconds: float = 0.0) -> list[int]:
        """For so long, which may be no time at all."""
        self.holder = (holder[0], holder[1], holder[2]) if holder else None
        until = self.now + seconds
        while True:
            self.watch.look(self)
            if self.now >= until:
                return self.ended
            self.now += PAUSE


@pytest.fixture
def standby(monkeypatch: pytest.MonkeyPatch) -> Standby:
    return Standby(monkeypatch)


@pytest.mark.parametrize(("is_active", "patience"), [(False, IDLE), (True, ACTIVE)])
def test_one_that_does_nothing_is_ended(standby: Standby, is_active: bool, patience: float) -> None:
    assert standby.see(7, is_active, SEVEN, seconds=patience) == []
    assert standby.see(7, is_active, SEVEN, seconds=PAUSE) == [7]


def test_one_that_goes_on_is_not_whatever_the_clock_of_the_database_says(standby: Standby) -> None:
    for hour in (7, 9, 9, 3, 12):
        for second in (1, 2):
            assert standby.see(7, False, f"2026-01-01 {hour:02}:00:{second:02}+00", seconds=IDLE - PAUSE) == []
    assert standby.see(8, False, SEVEN, seconds=IDLE) == []
    assert standby.see() == []
    assert standby.see(8, False, SEVEN, seconds=IDLE) == []


def test_a_standby_that_was_stopped_itself_looks_once_more(standby: Standby) -> None:
    assert standby.see(7, False, SEVEN) == []
    standby.now += 60
    assert standby.see(7, False, SEVEN, seconds=IDLE) == []
    assert standby.see(7, False, SEVEN, seconds=PAUSE) == [7]


def test_a_leader_whose_name_is_missing_has_time_to_say_it() -> None:
    elsewhere, own = Elsewhere(), b"shop of system 1"
    looks = [
        (7, None, 0.0, False), (7, None, PATIENCE, True), (7, b"other", PATIENCE + 1, True), (7, own, PATIENCE + 2, False),
        (7, None, PATIENCE + 3, False), (8, None, 3 * PATIENCE, False), (None, None, 4 * PATIENCE, False), (8, None, 5 * PATIENCE, False),
        (8, None, 5 * PATIENCE + APART + 1, False), (8, None, 6 * PATIENCE + APART + 1, True),
    ]  # fmt: skip
    assert [elsewhere.look(holder, own.decode(), said, now) for holder, said, now, _ in looks] == [found for *_, found in looks]
