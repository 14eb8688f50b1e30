"""How far a run says it is: a fraction that every page can show, whatever the task gives."""

import json
import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.celery_app import process_engine, progress
from jobs.celery_app.running import Outcome
from jobs.store import transitions
from jobs.store.transitions import Run
from jobs.tasks import sleep

HUGE = 10**400


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was written, in order."""
    found: list[Any] = []
    monkeypatch.setattr(process_engine, "current", lambda: SimpleNamespace(write=lambda change: change(None)))
    monkeypatch.setattr(transitions, "report_progress", lambda cursor, run, text: found.append(json.loads(text)) or True)
    return found


@pytest.mark.parametrize(
    ("meta", "fraction"),
    [
        ({"current": 1, "total": 4}, 0.25),
        ({"current": "1", "total": "4"}, 0.25),
        ({"current": 9, "total": 4}, 1.0),
        ({"current": -1, "total": 4}, 0.0),
        ({"current": 1, "total": 0}, 0.0),
        ({"current": 1, "total": "0"}, 0.0),
        ({"current": HUGE, "total": 4}, 0.0),
        ({"current": math.nan, "total": 4}, 0.0),
        ({"current": math.inf, "total": math.inf}, 0.0),
        ({"current": 1}, 0.0),
        ({"current": None, "total": [2]}, 0.0),
        ("halfway", 0.0),
    ],
)
def test_no_state_of_its_own_breaks_a_task(noted: list[Any], meta: Any, fraction: float) -> None:
    assert progress.report_state(Outcome(run=Run(id=1, runs=1), task=sleep), "PROGRESS", meta)
    assert noted[0]["fraction"] == fraction


@pytest.mark.parametrize(("given", "shown"), [({}, ""), ({"state": None}, ""), ({"state": 2}, "2"), ({"state": "HALF"}, "HALF")])
def test_a_state_is_whatever_the_task_gives_and_may_be_left_out(noted: list[Any], given: dict[str, Any], shown: str) -> None:
    sleep.push_request(id="x", job_id=1, outcome=Outcome(run=Run(id=1, runs=1), task=sleep))
    try:
        sleep.update_state(meta={"at": 50}, **given)
    finally:
        sleep.pop_request()
    assert noted == [{"fraction": 0.0, "message": shown, "state": given.get("state"), "result": {"at": 50}}]


@pytest.mark.parametrize(("given", "message"), [(None, ""), (5, "5"), ("so far", "so far")])
def test_a_message_may_be_anything(noted: list[Any], given: Any, message: str) -> None:
    """One that is no text failed the job."""
    assert progress.report(Outcome(run=Run(id=1, runs=1), task=sleep), 0.5, given)
    assert noted == [{"fraction": 0.5, "message": message}]


@pytest.mark.parametrize(
    ("given", "fraction"),
    [
        (0.5, 0.5), (Fraction(1, 4), 0.25), ("0.5", 0.5), (7, 1.0), (-7, 0.0), (math.inf, 1.0), (math.nan, 0.0),
        pytest.param(HUGE, 1.0, id="huge"), pytest.param(-HUGE, 0.0, id="hugely less"),
    ],
)  # fmt: skip
def test_a_fraction_is_one_that_can_be_shown(noted: list[Any], given: Any, fraction: float) -> None:
    sleep.push_request(outcome=Outcome(run=Run(id=1, runs=1), task=sleep))
    try:
        assert sleep.progress(given, "so far")
    finally:
        sleep.pop_request()
    assert noted == [{"fraction": fraction, "message": "so far"}]
