"""A job is claimed when its message is read, in the transaction that ends the one before it, and only if it will be run."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery import current_app
from celery.worker import state

from jobs import enqueue, enqueue_many
from jobs.celery_app import settle, signing
from jobs.models import Job
from jobs.store.transitions import Run
from jobs.worker.early_claims import EarlyClaims
from jobs.worker.group_commit import GroupCommit
from jobs.worker.registration import Registration
from tests.green_engine import group_commit
from tests.rows import task_id_of
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.fixture
def engine() -> Iterator[GroupCommit]:
    with group_commit() as made:
        yield made


@pytest.fixture
def run() -> Run:
    return Run(id=enqueue("t.same", args=[1]).id, runs=1)


def row(run: Run) -> tuple[str, int]:
    job = Job.objects.get(id=run.id)
    return job.status, job.runs


def test_the_task_gets_the_answer_once(engine: GroupCommit, run: Run) -> None:
    engine.ask(run, task_id_of(run.id), "celery", 5)
    assert engine.unbegun == {run}
    assert engine.claim(run, task_id_of(run.id), "celery", 5)
    assert row(run) == ("running", 1)
    assert not engine.claim(run, task_id_of(run.id), "celery", 5), "a second message"
    engine.ask(run, task_id_of(run.id), "celery", 5)
    assert not engine.unbegun


def test_a_claim_that_is_lost_is_no_job_of_this_worker(engine: GroupCommit, run: Run) -> None:
    Job.objects.filter(id=run.id).update(priority=6)
    engine.ask(run, task_id_of(run.id), "celery", 5)
    assert not engine.claim(run, task_id_of(run.id), "celery", 5)
    assert not engine.held
    assert row(run) == ("pending", 0)


def test_what_does_not_begin_is_given_back(engine: GroupCommit, run: Run) -> None:
    engine.ask(run, task_id_of(run.id), "celery", 5)
    engine.give_back(run)
    assert row(run) == ("pending", 1)
    assert not engine.held
    assert not engine.claim(run, task_id_of(run.id), "celery", 5), "its message is void"
    assert row(run) == ("pending", 1)


def test_what_was_revoked_meanwhile_is_cancelled(engine: GroupCommit, run: Run) -> None:
    engine.ask(run, task_id_of(run.id), "celery", 5)
    settle.revoked(run, "revoked")
    assert row(run) == ("cancelled", 1)
    assert not engine.held


def test_nothing_begins_without_the_lock(engine: GroupCommit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.ask(run, task_id_of(run.id), "celery", 5)
    monkeypatch.setattr(Registration, "held", False)
    assert not engine.claim(run, task_id_of(run.id), "celery", 5)
    assert row(run) == ("pending", 1)


def test_an_end_whose_claim_is_there_does_not_wait_for_another(engine: GroupCommit, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """While that claim was asked for all slots were taken again, so the fetch loop waits, and looks when another job ends."""
    waits = []
    monkeypatch.setattr(engine.gathering, "wait", lambda: waits.append((len(engine.completions), len(engine.claims))))
    second = Run(id=enqueue("t.same", args=[2]).id, runs=1)
    assert engine.claim(run, task_id_of(run.id), "celery", 5)
    engine.ask(second, task_id_of(second.id), "celery", 5)
    assert engine.complete(run, "1")
    assert engine.claim(second, task_id_of(second.id), "celery", 5)
    assert (row(run), row(second), waits) == (("completed", 1), ("running", 1), [])
    assert engine.complete(second, "2")
    assert waits == [(1, 0)]


class Asked:
    """An engine that notes what it is asked for."""

    worker_id = 1

    def __init__(self) -> None:
        self.runs: list[int] = []

    def ask(self, run: Run, task_id: str, queue: str, priority: int) -> None:
        assert task_id == f"id {run.id}"
        self.runs.append(run.id)


def message(number: int, task: str = "t.same", **headers: Any) -> dict[str, Any]:
    """As the leader makes it."""
    values = {
        "job_id": number, "runs": 1, "id": f"id {number}", "task": task, "job_queue": "celery", "job_priority": 5, "retries": 0,
        "max_retries": 3, "job_timeout": None, "autoretry": True, "alone": False,
    } | headers  # fmt: skip
    body = json.dumps([[1], {}, {}])
    return {"headers": values | {"sig": signing.sign(values, body)}, "body": body, "properties": {"delivery_tag": f"{number}.1"}}


def test_only_what_will_be_run_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    monkeypatch.setattr(current_app.tasks["t.add"], "Strategy", "its.own:Strategy")
    consumer = SimpleNamespace(app=current_app, strategies=dict.fromkeys(("t.same", "t.add", "t.nap")), task_buckets={"t.nap": object()})
    claims = EarlyClaims(consumer, asked)
    forged = message(9)
    forged["body"] = json.dumps([[2], {}, {}])
    unsigned = message(8)
    del unsigned["headers"]["sig"]
    plain, encoded = message(1), message(8)
    encoded["properties"]["body_encoding"] = "base64"
    state.revoked.add("id 2")
    state.revoked_stamps["of"] = ["a stamp"]
    try:
        claims.ask(
            [
                plain, message(2), message(3, "t.add"), message(4, "t.nap"), message(5, "t.nobody"), message(6, alone=True),
                message(7, expires="2030-01-01T00:00:00"), encoded, unsigned, forged, message(10, stamped_headers=["of"]),
            ]
        )  # fmt: skip
    finally:
        state.revoked.discard("id 2")
        del state.revoked_stamps["of"]
    assert asked.runs == [1]
    assert claims.is_verified(plain["headers"])
    assert not claims.is_verified(plain["headers"]), "once"
    assert not claims.is_verified(forged["headers"])
    assert not claims.is_verified(unsigned["headers"])
    assert not claims.is_verified(dict(message(1)["headers"]))
    assert current_app.tasks["t.same"].Strategy == celery.Task.Strategy


def test_an_end_and_the_next_claim_are_one_transaction(tmp_path: Path) -> None:
    enqueue_many("t.add", [((1, 2), {})] * 400)
    with running_worker(tmp_path / "log"):
        until(lambda: Job.objects.filter(status="completed").count() == 400, timeout=60)
    ends = set(Job.objects.values_list("finished_at", flat=True))
    together = Job.objects.filter(started_at__in=ends).count()
    assert together > 200, "but for a batch that was on its way already"
