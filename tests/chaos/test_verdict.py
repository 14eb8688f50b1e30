"""Each rule of the verdict finds what it is for, and nothing else, in a small made-up run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.evidence import Change, Database, Letter, Row, sort
from tests.chaos.faults import Strike
from tests.chaos.processes import Crew, Death
from tests.chaos.run import Options, Record
from tests.chaos.verdict import judge, lost_by_ledger

PID, WORKER = 100, 1


class Worker:
    """What the verdict asks of a worker's process."""

    name, pid = "w0", PID

    def __init__(self) -> None:
        self.deaths: list[Death] = []


class Made:
    """A run of two jobs, in which the first was retried and all went well."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.strikes: list[Strike] = []
        self.events: list[tuple[str, int, int, int, str]] = [
            ("accepted", 1, 0, 1, "flaky"), ("start", 1, 1, PID, ""), ("end", 1, 1, PID, "ChaosError"), ("start", 1, 2, PID, ""),
            ("end", 1, 2, PID, "ok"), ("accepted", 2, 0, 1, "doomed"), ("start", 2, 1, PID, ""), ("end", 2, 1, PID, "ChaosError"),
            ("rolled back", 3, 0, 1, "ok"),
        ]  # fmt: skip
        self.changes = [
            change(11, "pending", "running", 0, 1), change(11, "running", "pending", 1, 1, error="ChaosError: k=1 run=1"),
            change(11, "pending", "running", 1, 2), change(11, "running", "completed", 2, 2, result={"k": 1, "run": 2}),
            change(12, "pending", "running", 0, 1), change(12, "running", "failed", 1, 1, error="ChaosError: k=2 run=1"),
        ]  # fmt: skip
        self.rows = {
            1: Row(11, 1, "flaky", "completed", 2, {"k": 1, "run": 2}, ""),
            2: Row(12, 2, "doomed", "failed", 1, None, "ChaosError"),
        }
        self.attempts = {(11, 1): "failed", (12, 1): "failed"}
        self.letters = [Letter(12, "ChaosError", "k=2 run=1", "Traceback ...", "open")]

    def red(self) -> set[str]:
        """The rules that found something."""
        events = [(n, float(n), *event[:3], *event[3:]) for n, event in enumerate(self.events, 1)]
        crew: Any = Crew()
        crew.workers.append(self.worker)
        record = Record(
            options=Options(seed=1, seconds=10), events=events, strikes=self.strikes, crew=crew, poisons=[], errors=[], calm_from=1.0,
            making=10.0, drained=0.0, exits={"w0": 0},
        )  # fmt: skip
        database = Database(
            rows=self.rows, changes=self.changes, attempts=self.attempts, letters=self.letters, workers={WORKER: PID}, extra=[]
        )  # fmt: skip
        return {rule for rule, found in judge(record, sort(events), database).findings.items() if found}


def change(job: int, was: str, now: str, was_runs: int, runs: int, *, result: Any = None, error: str = "") -> Change:
    """A change that the audit noted."""
    text = None if result is None else json.dumps(result)
    return Change(
        5.0, job, was, now, was_runs, runs, WORKER if was == "running" else None, WORKER if now != "pending" else None, text, error
    )


def test_a_run_in_which_all_went_well_is_green() -> None:
    assert Made().red() == set()


def _no_row(made: Made) -> None:
    made.events.append(("accepted", 4, 0, 1, "ok"))


def _waits_for_ever(made: Made) -> None:
    made.rows[2] = made.rows[2]._replace(status="running")


def _completed_without_a_body(made: Made) -> None:
    made.events[4] = ("end", 1, 2, PID, "killed")


def _completed_twice(made: Made) -> None:
    made.changes.append(change(11, "completed", "running", 2, 3))


def _an_old_result(made: Made) -> None:
    made.changes[3] = made.changes[3]._replace(result=json.dumps({"k": 1, "run": 1}))


def _another_jobs_error(made: Made) -> None:
    made.changes[5] = made.changes[5]._replace(error="ChaosError: k=1 run=1")


def _five_rows(made: Made) -> None:
    made.changes += [change(11, "pending", "running", 2, 3)._replace(job=job) for job in range(20, 25)]
    made.rows |= {job: Row(job, job, "ok", "cancelled", 1, None, "") for job in range(20, 25)}
    made.rows |= {job: made.rows[job]._replace(kind="drop") for job in range(20, 25)}
    made.events += [("cancel", job, 0, 1, "done") for job in range(20, 25)]


def _five_bodies(made: Made) -> None:
    made.events += [("start", 1, run, PID, "") for run in range(3, 8)]
    made.changes += [change(11, "pending", "running", run - 1, run) for run in range(3, 8)]


def _given_back_for_no_reason(made: Made) -> None:
    made.attempts[11, 1] = "lost"


def _ran_twice_on_one_claim(made: Made) -> None:
    made.events += [("start", 1, 2, PID, ""), ("end", 1, 2, PID, "ok")]


def _ran_without_a_claim(made: Made) -> None:
    made.changes.pop(2)


def _ran_though_rolled_back(made: Made) -> None:
    made.events += [("start", 3, 1, PID, ""), ("end", 3, 1, PID, "ok")]


def _two_runs_at_once(made: Made) -> None:
    made.events[2], made.events[3] = made.events[3], made.events[2]


def _failed_though_it_must_not(made: Made) -> None:
    made.rows[1] = made.rows[1]._replace(status="failed")
    made.letters.append(Letter(11, "ChaosError", "k=1 run=2", "Traceback ...", "open"))


def _no_letter(made: Made) -> None:
    made.letters.clear()


def _a_letter_of_another_kind(made: Made) -> None:
    made.letters[0] = made.letters[0]._replace(error_class="WorkerLost")


def _ended_by_itself(made: Made) -> None:
    made.worker.deaths.append(Death(pid=99, at=2.0, code=1, cause=""))


def _took_nothing(made: Made) -> None:
    made.worker.pid = 101


@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (_no_row, {"lost"}),
        (_waits_for_ever, {"lost", "letters"}),
        (_completed_without_a_body, {"lost"}),
        (_completed_twice, {"doubled"}),
        (_an_old_result, {"stale"}),
        (_another_jobs_error, {"stale"}),
        (_five_rows, {"over the limit"}),
        (_five_bodies, {"over the limit", "overlapped"}),
        (_given_back_for_no_reason, {"unexplained"}),
        (_ran_twice_on_one_claim, {"unclaimed"}),
        (_ran_without_a_claim, {"unclaimed"}),
        (_ran_though_rolled_back, {"rolled back", "unclaimed"}),
        (_two_runs_at_once, {"overlapped"}),
        (_failed_though_it_must_not, {"wrong end", "letters"}),
        (_no_letter, {"letters"}),
        (_a_letter_of_another_kind, {"letters"}),
        (_ended_by_itself, {"workers"}),
        (_took_nothing, {"workers"}),
    ],
)
def test_what_must_never_happen_is_found(spoil: Callable[[Made], None], rules: set[str]) -> None:
    made = Made()
    spoil(made)
    assert made.red() == rules


def test_a_fault_that_hit_the_process_explains_a_lost_run() -> None:
    made = Made()
    made.attempts[11, 1] = "lost"
    made.worker.deaths.append(Death(pid=PID, at=5.0, code=-9, cause="worker-kill"))
    made.strikes.append(Strike(kind="worker-kill", at=4.0, until=4.0, pids=[PID]))
    assert made.red() == set()


def test_what_the_ledger_alone_says_of_stock_celery(tmp_path: Path) -> None:
    what = [
        ("accepted", 1, 0, "ok"), ("start", 1, 1, ""), ("end", 1, 1, "ok"), ("accepted", 2, 0, "ok"), ("start", 2, 1, ""),
        ("accepted", 3, 0, "drop"), ("cancel", 3, 0, "asked"), ("accepted", 4, 0, "doomed"), ("start", 4, 1, ""),
        ("end", 4, 1, "ChaosError"), ("accepted", 5, 0, "ok"),
    ]  # fmt: skip
    ledger = sort((n, float(n), event, k, run, PID, note) for n, (event, k, run, note) in enumerate(what))
    assert lost_by_ledger(ledger, waiting={5}) == {2: "ok", 4: "doomed"}
