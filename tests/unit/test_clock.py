"""The time of the database as it is reckoned from the host's: seldom asked for, and never a reason to fail."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.domain.statuses import State
from jobs.models import Job
from jobs.store import clock

Asked = Callable[..., list[str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Make the database's clock differ by so many seconds, or fail; gives a list with an entry for each question."""
    monkeypatch.setattr(clock, "_skew", clock._Skew())

    def differ(seconds: float, error: Exception | None = None) -> list[str]:
        found: list[str] = []

        def now(cursor: Any = None) -> datetime:
            found.append("asked")
            if error is not None:
                raise error
            return datetime.now(UTC) + timedelta(seconds=seconds)

        monkeypatch.setattr(clock, "now", now)
        return found

    return differ


def ahead() -> float:
    """Seconds, rounded: a busy machine may rest between two questions."""
    return round((clock.reckoned() - datetime.now(UTC)).total_seconds(), -1)


@pytest.mark.parametrize(("seconds", "shown"), [(900, 900), (-900, -900), (0.9, 0), (-0.9, 0)])
def test_a_host_whose_clock_is_wrong_shows_the_time_of_the_database(asked: Asked, seconds: float, shown: float) -> None:
    asked(seconds)
    assert ahead() == shown
    if not shown:
        assert clock._skew.seconds == 0.0, "as if the clocks were the same"


def test_it_is_asked_again_when_the_answer_is_old_and_not_before(asked: Asked) -> None:
    questions = asked(900)
    assert [ahead(), ahead(), len(questions)] == [900, 900, 1]
    clock._skew.asked -= clock.FRESH
    questions = asked(-900)
    assert [ahead(), ahead(), len(questions)] == [-900, -900, 1]


def test_where_it_cannot_be_asked_what_was_known_last_counts(asked: Asked) -> None:
    asked(0, RuntimeError("Database access not allowed"))
    assert ahead() == 0
    clock._skew.asked -= clock.FRESH
    asked(900)
    assert ahead() == 900
    clock._skew.asked -= clock.FRESH
    questions = asked(0, RuntimeError("Database access not allowed"))
    assert [ahead(), ahead(), len(questions)] == [900, 900, 1]


def test_it_is_a_time_as_django_has_it(asked: Asked, settings: Any) -> None:
    asked(900)
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    moment = clock.reckoned()
    assert moment.tzinfo is None
    assert abs((moment.replace(tzinfo=ZoneInfo("Asia/Tokyo")) - datetime.now(UTC)).total_seconds() - 900) < 30


def test_a_job_tells_its_state_by_it_and_asks_nothing(asked: Asked) -> None:
    questions = asked(900)
    job = Job(status="pending", attempts=0, run_at=datetime.now(UTC) + timedelta(minutes=5))
    assert (job.state, questions) == (State.SCHEDULED, [])
    clock.reckoned()
    assert (job.state, len(questions)) == (State.QUEUED, 1)
