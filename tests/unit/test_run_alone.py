"""A job that lost its worker twice runs alone, for a bounded time."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from jobs.worker import fetching

LONG = 1_000.0


class Stage:
    """A worker with neighbours that end at these times; time passes only where somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *neighbours: float) -> None:
        self.now, self.started, self.ends = 0.0, -1.0, list(neighbours)
        self.worker = MagicMock()
        type(self.worker.admission).holders = property(lambda _: {end for end in self.ends if end > self.now})
        self.worker.admission.pause = self.wait
        monkeypatch.setattr(fetching, "time", MagicMock(monotonic=lambda: self.now))

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def run(self, lasts: float) -> tuple[float, float]:
        """When the job started, and when its worker took others again."""

        def start() -> None:
            self.started = self.now
            self.ends.append(self.now + lasts)

        fetching.run_alone(MagicMock(), self.worker, start)
        return self.started, self.now


@pytest.mark.parametrize(
    ("neighbours", "lasts", "expected"),
    [
        ([], 1.0, (0.0, 1.0)),
        ([2.0, 3.0], 1.0, (3.0, 4.0)),
        ([LONG], LONG, (15.0, 20.0)),
        ([3.0], LONG, (3.0, 20.0)),
        ([LONG], 1.0, (15.0, 20.0)),
    ],
)
def test_a_job_that_runs_alone_keeps_the_other_slots_empty_for_20_seconds_in_all(
    monkeypatch: pytest.MonkeyPatch, neighbours: list[float], lasts: float, expected: tuple[float, float]
) -> None:
    stage = Stage(monkeypatch, *neighbours)
    assert stage.run(lasts) == expected
    assert not stage.worker.hand_over.alone


@pytest.mark.parametrize("lost", ["refused", "while it waits"])
def test_without_its_lock_it_does_not_start(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    stage: Any = Stage(monkeypatch, 1.0)
    registration = stage.worker.engine.registration
    registration.lock.return_value, registration.held = lost != "refused", False
    assert stage.run(1.0)[0] == -1.0
