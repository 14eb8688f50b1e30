"""How often the leader looks at what runs."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from jobs.leader import dispatch
from jobs.leader.load import Load
from jobs.leader.look import Seen

IDLE = Seen(workers={1: (None, ["celery"])}, holders=set(), late=False, suspects=False, acts=False, notices=False, age=60.0, held={1})
BUSY = Seen(workers={1: (None, ["celery"])}, holders={1}, late=False, suspects=True, acts=True, notices=True, age=60.0, held={1})


@pytest.mark.parametrize(
    ("seen", "takes", "is_open", "pace"),
    [
        (IDLE, 0.0, True, dispatch.REST),
        (BUSY, 0.0, True, dispatch.LOOK),
        (BUSY, dispatch.DEAR + 0.01, True, dispatch.REST),
        (IDLE, 0.0, False, dispatch.LOOK),  # without Redis it must not seem stopped
    ],
)
def test_a_look_is_made_oftener_while_something_runs_and_it_is_cheap(
    monkeypatch: pytest.MonkeyPatch, seen: Seen, takes: float, is_open: bool, pace: float
) -> None:
    now = [100.0]

    def look(cursor: Any) -> Seen:
        now[0] += takes
        return seen

    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(dispatch.look, "look", look)
    load = Load()
    leader = dispatch.Leader(mock.MagicMock(), mock.MagicMock(is_open=is_open), load, again=False)
    leader.look()
    assert leader.pace == pace
    assert leader.rescue.live == {1: ["celery"]}
    assert (load.acts.is_set(), load.notices.is_set(), leader.look_for_suspect) == (seen.acts, seen.notices, seen.suspects)
    load.clear()
    assert [load.acts.is_set(), load.notices.is_set()] == [False, False]
