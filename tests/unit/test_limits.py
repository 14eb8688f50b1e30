"""Which of a run's time limits counts."""

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.celery_app import limits, process_engine


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
