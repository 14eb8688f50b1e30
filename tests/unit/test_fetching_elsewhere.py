"""Room for one more message, by what Celery knows of the tasks that are here."""

from types import SimpleNamespace

import pytest
from celery.worker import state

from jobs.worker.fetching_elsewhere import has_room, multiplier


class Request:
    """What Celery keeps in its sets."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    made = [Request() for _ in range(4)]
    monkeypatch.setattr(state, "reserved_requests", set(made[:3]))
    monkeypatch.setattr(state, "active_requests", set(made[:2]))
    return made


def test_what_runs_counts_once(requests: list[Request]) -> None:
    assert [has_room(most) for most in (2, 3, 4)] == [False, False, True]


def test_what_runs_counts_also_where_celery_has_forgotten_that_it_was_reserved(requests: list[Request]) -> None:
    state.reserved_requests.clear()
    assert [has_room(most) for most in (2, 3)] == [False, True]


@pytest.mark.parametrize(("asked", "found"), [(0, 1), (1, 1), ("4", 4)])
def test_no_limit_is_the_least(asked: object, found: int) -> None:
    assert multiplier(SimpleNamespace(prefetch_multiplier=asked)) == found
