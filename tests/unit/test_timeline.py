"""The line of a job's life: every second of it once, in its order, to scale."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import translation

from jobs.models import Attempt, Job
from jobs.web.timeline import Timeline, timeline

START = datetime(2026, 11, 24, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(status: str, **values: Any) -> Job:
    return Job(status=status, created_at=START, run_at=values.pop("run_at", START), **values)


def attempt(run: int, start: float, end: float, delay: float | None, outcome: str = "failed") -> Attempt:
    return Attempt(run=run, outcome=outcome, started_at=at(start), finished_at=at(end), delay=delay)


def shown(found: Timeline) -> list[tuple[str, float]]:
    return [(part.kind.value, part.length) for part in found.parts]


LONG = [attempt(1, 0, 10, 0), *(attempt(n, n * 10, n * 10 + 10, 0) for n in range(21, 121))]
TWO = [attempt(1, 5, 15, 10), attempt(2, 30, 40, None)]
CASES = {
    "two runs failed": (job("failed", runs=2, started_at=at(30), finished_at=at(40)), TWO,
                        [("wait", 5), ("bad", 10), ("pause", 10), ("wait", 5), ("bad", 10)]),
    "run again after the failure": (job("completed", runs=3, started_at=at(100), finished_at=at(120)), TWO,
                                    [("wait", 5), ("bad", 10), ("pause", 10), ("wait", 5), ("bad", 10), ("rest", 60), ("good", 20)]),
    "it runs": (job("running", runs=1, started_at=at(20)), [], [("wait", 20), ("run", 180)]),
    "it will run later": (job("pending", runs=0, run_at=at(900)), [], [("pause", 200)]),
    "it is late": (job("pending", runs=0, run_at=at(50)), [], [("pause", 50), ("wait", 150)]),
    "tried again soon": (job("pending", runs=1, run_at=at(190)), [attempt(1, 0, 10, 180)], [("bad", 10), ("pause", 180), ("wait", 10)]),
    "tried very often": (job("pending", runs=120, run_at=at(1210)), LONG, [("bad", 10), ("gone", 200), *[("bad", 10)] * 100]),
    "cancelled before it ran": (job("cancelled", runs=0, finished_at=at(30)), [], [("wait", 30)]),
    "lost with its worker": (job("completed", runs=2, started_at=at(60), finished_at=at(70)), [attempt(1, 0, 50, None, "lost")],
                             [("bad", 50), ("wait", 10), ("good", 10)]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_each_second_has_its_part(name: str) -> None:
    of, attempts, expected = CASES[name]
    found = timeline(of, attempts, at(1210 if attempts is LONG else 200))
    assert shown(found) == expected
    ends = [part.end for part in found.parts]
    assert [part.start for part in found.parts][1:] == ends[:-1]
    assert float(found.parts[-1].x) + float(found.parts[-1].width) == pytest.approx(1000, abs=1)
    order = sorted(found.parts, key=lambda part: part.length)
    assert [float(part.width) for part in order] == sorted(float(part.width) for part in found.parts)


def test_it_is_said_in_words_too() -> None:
    with translation.override("en"):
        found = timeline(*CASES["two runs failed"][:2], at(200))
        assert found.summary == "waiting: 10 s · a run that did not complete: 20 s · not due yet: 10 s"
        assert [part.text for part in found.parts if part.kind.value == "bad"] == ["Run 1: failed", "Run 2: failed"]


def test_very_many_runs_still_fill_the_line() -> None:
    many = [attempt(n, n * 10, n * 10 + 5, 1) for n in range(1, 500)]
    found = timeline(job("pending", runs=500), many, at(6000))
    assert float(found.parts[-1].x) + float(found.parts[-1].width) == pytest.approx(1000, abs=60)


def test_a_job_of_this_very_moment_has_no_part() -> None:
    assert timeline(job("pending", runs=0), [], START).parts == ()
