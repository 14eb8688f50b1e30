"""The two test commands judge honestly: each rule broken on purpose is found."""

import io
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from jobs.conf import Configuration
from jobs.domain.statuses import Status
from jobs.management.commands import test_dead_letter_queue
from jobs.verification import dead_letter, rules
from jobs.verification.dead_letter import Case, Entry, Story
from jobs.verification.priority import verdict
from jobs.verification.rules import AttemptRow, Run

ZERO_HOUR = datetime(2026, 1, 1, tzinfo=UTC)
PRIORITIES = [(7 * place + 3) % 10 for place in range(12)]


def at(seconds: float) -> datetime:
    return ZERO_HOUR + timedelta(seconds=seconds)


def run(id: int, start: float, end: float, *, priority: int = 5, worker: int = 1, due: float = 0.0) -> Run:
    return Run(id=id, priority=priority, run_at=at(due), due_at=at(due), started_at=at(start), finished_at=at(end), worker=worker)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


def ordered(slots: int, *, by_priority: bool = True, sleep: float = 15.0) -> list[Run]:
    """What a worker with so many slots records for twelve jobs inserted at one moment."""
    runs, free, clock = [], [0.0] * slots, 1.0
    for number in sorted(range(12), key=lambda n: (-PRIORITIES[n] if by_priority else 0, n)):
        slot = free.index(min(free))
        clock = max(clock + 0.001, free[slot])
        runs.append(run(number, clock, clock + sleep, priority=PRIORITIES[number]))
        free[slot] = clock + sleep
    return runs


def test_a_good_worker_passes() -> None:
    found = verdict(ordered(4), [], 4)
    assert found.problems == []
    assert any("4" in fact for fact in found.facts)


@pytest.mark.parametrize("slots", [3, 5])
def test_a_worker_with_another_number_of_slots_is_found(slots: int) -> None:
    assert verdict(ordered(slots), [], 4).problems != []
    assert verdict(ordered(slots), [], slots).problems == []


def test_ignored_priorities_are_found() -> None:
    assert any("inversion" in problem for problem in verdict(ordered(4, by_priority=False), [], 4).problems)


def test_a_job_that_begins_as_another_ends_is_not_at_once() -> None:
    assert rules.at_once([run(1, 0, 1), run(2, 1, 2)]) == {1: 1}
    assert rules.crowded([run(1, 0, 1), run(2, 1, 2)], 1) == []


def test_each_worker_is_counted_by_itself() -> None:
    assert rules.at_once([run(1, 0, 2), run(2, 1, 3, worker=2), run(3, 1, 3, worker=2)]) == {1: 1, 2: 2}


def test_another_jobs_run_takes_a_slot() -> None:
    own, other = [run(n, 1, 2) for n in range(1, 5)], [run(9, 1.5, 3)]
    assert verdict(own, [], 4).problems == []
    assert verdict(own, other, 4).problems != []


def test_a_slot_left_free_while_a_job_waits_is_found() -> None:
    runs = [run(1, 0, 10), run(2, 0, 1), run(3, 5, 6)]
    gaps = rules.idle(runs, 2, timedelta(seconds=1))
    assert [(gap.since, gap.until, gap.running) for gap in gaps] == [(at(1), at(5), 1)]
    assert rules.idle(runs, 2, timedelta(seconds=5)) == []


@pytest.mark.parametrize("sleep", [0.2, 0.3, 15.0])
def test_slots_that_are_never_filled_are_found_however_short_the_jobs_are(sleep: float) -> None:
    assert any("only 4 of 8" in problem for problem in verdict(ordered(4, sleep=sleep), [], 8).problems)
    assert verdict(ordered(8, sleep=sleep), [], 8).problems == []


def test_no_more_at_once_are_wanted_than_there_were() -> None:
    assert verdict(ordered(12), [], 13).problems == []
    shared = [run(n, 1 + 0.01 * n, 2, worker=n % 2) for n in range(6)]
    assert verdict(shared, [], 4).problems == [], "another worker took them"
    assert len(rules.unreached(shared, 4, timedelta(0))) == 2


def test_a_free_slot_is_no_fault_while_nothing_waits() -> None:
    assert rules.idle([run(1, 0, 10), run(2, 5, 6, due=5)], 4, timedelta(0)) == []


def test_same_priority_older_first() -> None:
    assert rules.inversions([run(1, 2, 3), run(2, 1, 2)]) != []
    assert rules.inversions([run(1, 1, 2), run(2, 2, 3)]) == []


def test_a_job_that_was_not_due_is_no_inversion() -> None:
    late = run(1, 2, 3, priority=9, due=1.9)
    assert rules.inversions([run(2, 1, 2), late]) == []


def test_the_grace_excuses_a_job_that_was_just_inserted() -> None:
    runs = [run(2, 1, 2), run(1, 2, 3, priority=9, due=0.9)]
    assert rules.inversions(runs, timedelta(milliseconds=250)) == []
    assert len(rules.inversions(runs)) == 1


def test_slots_that_claim_side_by_side_may_start_some_milliseconds_in_another_order_and_no_more() -> None:
    def started(apart: float) -> list[Run]:
        return [run(1, 1 + apart, 3, priority=9), run(2, 1, 3, priority=8)]

    assert verdict(started(0.019), [], 2, side_by_side=True).problems == []
    assert verdict(started(0.019), [], 2).problems != [], "one connection claims for all"
    assert verdict(started(0.06), [], 2, side_by_side=True).problems != []


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 100)), max_size=20))
def test_runs_in_order_have_no_inversion(parts: list[tuple[int, float]]) -> None:
    in_order = sorted(enumerate(parts), key=lambda item: (-item[1][0], item[0]))
    runs = [run(id, place, place + length, priority=priority) for place, (id, (priority, length)) in enumerate(in_order)]
    assert rules.inversions(runs) == []


def failures(*delays: float | None, pauses: Sequence[float] | None = None) -> list[AttemptRow]:
    found, clock = [], 0.0
    for number, delay in enumerate(delays):
        found.append(AttemptRow(started_at=at(clock), finished_at=at(clock + 0.01), delay=delay))
        clock += 0.01 + (pauses[number] if pauses else (delay or 0) + 0.02)
    return found


def test_growing_delays_pass() -> None:
    assert rules.delays_grow(failures(1.0, 2.1, 4.0, None), 600) == []


@pytest.mark.parametrize(
    "rows",
    [
        failures(1.0, 1.0, 1.0, None),
        failures(2.0, 1.0, None),
        failures(1.0, None, None),
        failures(1.0, 2.0, 4.0, None, pauses=[0.1, 0.1, 0.1, 0]),
    ],
    ids=["constant", "shrinking", "not recorded", "not kept"],
)
def test_delays_that_do_not_grow_are_found(rows: list[AttemptRow]) -> None:
    assert rules.delays_grow(rows, 600) != []


@pytest.mark.parametrize("delays", [(1.0, 2.13, 2.07), (2.1, 2.0, 2.2), (1.99, 2.0, 2.0)])
def test_delays_that_have_reached_the_maximum_grow_no_more(delays: Sequence[float]) -> None:
    assert rules.delays_grow(failures(*delays, None), 2) == []
    assert rules.delays_grow(failures(*delays[:2], 1.98, None), 2) != [], "nor do they shrink below it"


CASE = Case(id=1, label="always fails", runs=4, status=Status.FAILED, resolutions=("open",))
ENTRY = Entry(traceback="Traceback", resolution="open", noticed=True)


def story(**changes: Any) -> Story:
    values: dict[str, Any] = {
        "id": 1,
        "status": "failed",
        "permanently_failed": True,
        "runs": 4,
        "failures": failures(1.0, 2.1, 4.2, None),
        "last": None,
        "entries": [ENTRY],
    }
    return Story(**(values | changes))


def test_a_good_burial_passes() -> None:
    assert dead_letter.judge(CASE, story(), 600) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"entries": []},
        {"status": "completed"},
        {"permanently_failed": False},
        {"runs": 3},
        {"failures": failures(1.0, 2.1, None)},
        {"failures": failures(1.0, 1.0, 1.0, None)},
        {"entries": [ENTRY, ENTRY]},
        {"entries": [Entry(traceback="", resolution="open", noticed=True)]},
        {"entries": [Entry(traceback="Traceback", resolution="open", noticed=False)]},
    ],
    ids=["burying off", "status", "flag", "runs", "attempts", "constant delays", "two entries", "no traceback", "no notice"],
)
def test_each_fault_is_found(changes: dict[str, Any]) -> None:
    assert dead_letter.judge(CASE, story(**changes), 600) != []


def test_a_job_that_recovers_must_not_be_buried() -> None:
    case = Case(id=1, label="recovers", runs=3, status=Status.COMPLETED)
    rows = failures(1.0, 2.0, None)
    good = story(status="completed", permanently_failed=False, runs=3, failures=rows[:2], last=rows[2], entries=[])
    assert dead_letter.judge(case, good, 600) == []
    assert dead_letter.judge(case, story(entries=[ENTRY]), 600) != []


@pytest.mark.parametrize(("runs", "said"), [(0, "لم تعمل أي مرة"), (1, "عملت مرة واحدة"), (2, "عملت مرتين"), (11, "عملت 11 مرة")])
def test_numbers_have_their_arabic_forms(runs: int, said: str) -> None:
    with translation.override("ar"):
        problems = dead_letter.judge(CASE, story(runs=runs, failures=failures(1.0, None)), 600)
    assert problems[:2] == [f"{said}، والمطلوب 4", "سُجّلت محاولتان فاشلتان، والمطلوب 4"]


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (Configuration(), 120 + 1.1 * 7),
        (Configuration(retry_backoff=50), 120 + 1.1 * 350),
        (Configuration(retry_backoff=50, retry_backoff_max=60), 120 + 1.1 * 170),
        (Configuration(retry_backoff=0), 120),
    ],
)
def test_the_pauses_of_the_configuration_are_waited_for(monkeypatch: pytest.MonkeyPatch, limits: Configuration, seconds: float) -> None:
    monkeypatch.setattr(dead_letter, "configuration", lambda: limits)
    waited = list[float]()
    monkeypatch.setattr(test_dead_letter_queue, "some_worker", lambda *_: nullcontext())
    monkeypatch.setattr(test_dead_letter_queue.Command, "_failures", lambda self, timeout: waited.append(timeout))
    call_command("test_dead_letter_queue", stdout=io.StringIO())
    call_command("test_dead_letter_queue", timeout=7, stdout=io.StringIO())
    assert waited == [pytest.approx(seconds), 7]
