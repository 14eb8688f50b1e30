"""Which of a run's time limits counts."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded

from jobs.celery_app import limits, process_engine, running
from jobs.store.transitions import Run


@pytest.mark.parametrize(
    ("own", "hard", "counts"),
    [
        (2, 60.0, (2, None)),  # the row's deadline is first
        (3, 2.5, (None, 2.5)),  # a call of Celery's: the row has its limit in whole seconds
        (60, 60.0, (None, 60.0)),
        (None, 60.0, (None, 60.0)),
        (2, None, (2, None)),
    ],
)
@pytest.mark.parametrize("of", ["message", "task", "worker"])
def test_the_smaller_limit_counts(of: str, own: int | None, hard: float | None, counts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_engine, "is_green", lambda: True)
    monkeypatch.setattr(limits, "_of_worker", [hard if of == "worker" else None, None])
    task = SimpleNamespace(time_limit=hard if of == "task" else None, soft_time_limit=1.5)
    request = SimpleNamespace(timelimit=(hard if of == "message" else None, None), job_timeout=own)
    found: Any = limits.applied(task, request)
    assert (found.own, found.hard, found.soft) == (*counts, 1.5)


@pytest.mark.parametrize(
    ("alone", "job", "hard", "counts"),
    [(True, 60, 2.5, 2.5), (True, 2, 60.0, 2), (True, None, 2.5, 2.5), (True, 2, None, 2), (False, 60, 2.5, 60), (False, None, 2.5, None)],
)
def test_in_threads_the_smaller_limit_counts_too(
    alone: bool, job: int | None, hard: float | None, counts: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of prefork is ended by its parent."""
    monkeypatch.setattr(process_engine, "_engine", [SimpleNamespace(alone=alone)])
    monkeypatch.setattr(limits, "_of_worker", [hard, None])
    task, request = SimpleNamespace(time_limit=None), SimpleNamespace(timelimit=None, job_timeout=job)
    assert limits.own(task, request) == counts


@pytest.mark.parametrize("which", ["body", "before_start"])
def test_a_limit_of_the_worker_ends_what_runs_in_it(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under threads and solo it did nothing."""
    outcome = running.Outcome(run=Run(id=7, runs=1), task=None)
    monkeypatch.setattr(process_engine, "_engine", [SimpleNamespace(alone=True, green=False)])
    monkeypatch.setattr(limits, "_of_worker", [0.1, None])
    monkeypatch.setattr(running, "claim", lambda _: outcome)
    monkeypatch.setattr(running, "settled", lambda _task, _outcome, call: call())
    request = SimpleNamespace(timelimit=None, job_timeout=None)
    task: Any = SimpleNamespace(time_limit=None, soft_time_limit=None, request=request)
    begin = {
        "body": lambda: running.claimed(task, request, time.sleep, (10,), {}),
        "before_start": lambda: running.begun(task, lambda: time.sleep(10)),
    }[which]
    with pytest.raises(TimeLimitExceeded):
        begin()


@pytest.mark.parametrize(("soft", "counts"), [(float("inf"), None), (10**400, None), (1.5, 1.5)])
def test_a_soft_limit_of_the_task_without_end_is_none(soft: float, counts: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timer would take none, and the job would fail of that."""
    monkeypatch.setattr(process_engine, "is_green", lambda: True)
    task, request = SimpleNamespace(time_limit=None, soft_time_limit=soft), SimpleNamespace(timelimit=None, job_timeout=60)
    assert limits.applied(task, request).soft == counts  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["time_limit", "soft_time_limit"])
def test_a_limit_of_the_task_that_is_no_number_is_named_by_its_run(name: str) -> None:
    task = SimpleNamespace(**{"time_limit": None, "soft_time_limit": None, name: "x"})
    with pytest.raises(ValueError, match=f"^{name} 'x' is no number of seconds$"):
        limits.applied(task, SimpleNamespace(timelimit=None, job_timeout=None))
