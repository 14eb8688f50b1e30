"""A job that has used `self.replace()` ends when what it was replaced by cannot come to its end."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord
from celery.result import AsyncResult, allow_join_result
from django.db import connection

from jobs import control
from jobs.domain.statuses import HELD
from jobs.leader import prune
from jobs.models import Aftermath, DeadLetterQueue, Job
from jobs.store import engine, replaced, transitions
from jobs.store.transitions import Run
from tests.flows import GET, job_of, s, si, task
from tests.rows import job_in, open_gate
from tests.standing import on
from tests.taskapp.replacing import SHAPES
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ON_GEVENT = on()
CANCELLED = {"expired", "revoked", "ignored", "chord in a chain"}
NEVER_TOLD = {"elsewhere"}


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


@pytest.fixture
def own() -> Iterator[Any]:
    connection = engine.connect("jobs prune")
    yield connection
    connection.close()


def open_jobs() -> list[tuple[str, str, str]]:
    return list(Job.objects.filter(finished_at=None).values_list("task", "status", "args"))


@on("prefork")
def test_a_replaced_job_ends_with_what_it_was_replaced_by(standing_worker: str, standing_log: Path) -> None:
    kinds = SHAPES.keys() - NEVER_TOLD
    alone = {kind: task("replaced_oddly").delay(kind) for kind in kinds}
    within = {kind: chain(si("replaced_oddly", kind), s("same"), s("add_one")).delay() for kind in kinds}
    headers = {kind: chord([si("replaced_oddly", kind), si("same", 1)], s("total")).delay() for kind in kinds}
    first = {kind: within[kind].parent.parent for kind in kinds}
    waiting = [f"waits {result.id}" for some in (alone, first) for kind, result in some.items() if "revoked" in kind]
    waiting += [f"waits {result.parent[0].id}" for kind, result in headers.items() if "revoked" in kind]
    until(lambda: Job.objects.filter(task_id__in=waiting).count() == len(waiting), timeout=GET)
    for id in waiting:
        AsyncResult(id).revoke()
    with suppress(AssertionError):  # what is left says more
        until(lambda: not open_jobs(), timeout=GET)
    assert open_jobs() == []
    until(lambda: not Aftermath.objects.exists(), timeout=GET)
    for results in (alone, first, {kind: result.parent[0] for kind, result in headers.items()}):
        found = {kind: job_of(result).status for kind, result in results.items()}
        assert found == {kind: "cancelled" if kind in CANCELLED else "failed" for kind in kinds}
    for kind in kinds:
        with pytest.raises(Exception, match=r"(?s)."):
            within[kind].get(timeout=GET)
        assert headers[kind].parent[0].ready()
        until(lambda kind=kind: AsyncResult(headers[kind].id).state == "FAILURE", timeout=GET, what=kind)  # type: ignore[misc]
    assert b"cannot be told" not in standing_log.read_bytes()
    assert DeadLetterQueue.objects.filter(job__task="t.replaced_oddly").count() == 3 * (
        len(kinds - CANCELLED) + 1
    )  # "replaced again" is two


@ON_GEVENT
def test_a_job_replaced_by_chunks_ends_with_their_results(standing_worker: str) -> None:
    assert task("replaced_by_chunks").delay().get(timeout=GET) == [[2, 4], [6]]
    assert chain(s("replaced_by_chunks"), s("same")).delay().get(timeout=GET) == [[2, 4], [6]]


@ON_GEVENT
def test_one_that_was_asked_to_stop_is_cancelled_and_not_replaced(standing_worker: str) -> None:
    asked = [task("asked_and_replaced").delay(by_a_chain=by_a_chain) for by_a_chain in (False, True)]
    until(lambda: not open_jobs(), timeout=GET)
    for result in asked:
        found = job_of(result)
        assert (found.status, found.task, found.cancel_requested_by) == ("cancelled", "t.asked_and_replaced", "sara")
        assert found.attempt_set.get().outcome == "cancelled"
    assert Job.objects.count() == len(asked)


def test_one_that_was_cancelled_is_not_run_by_the_end_of_what_took_its_place(tmp_path: Path) -> None:
    """That goes on: who has cancelled it may look at what its first steps have done."""
    with running_worker(tmp_path / "log"):
        held = {kind: task("replaced_behind_a_gate").delay(kind) for kind in ("chain", "chord")}
        until(lambda: Job.objects.filter(run_at=HELD).count() == 2, timeout=GET)
        assert len(control.cancel([job_of(result).id for result in held.values()], "sara").done) == 2
        open_gate("taken over")
        until(lambda: not open_jobs(), timeout=GET)
    for result in held.values():
        assert (job_of(result).task, job_of(result).status) == ("t.replaced_behind_a_gate", "cancelled")
    again = job_of(held["chain"])
    assert control.reprocess([again.id], "sara").done == [again.id]
    again.refresh_from_db()
    assert (again.status, again.cancel_requested_at, again.cancel_requested_by) == ("pending", None, "")


def test_what_nothing_will_end_is_buried_by_the_leader_and_tells_its_chord(tmp_path: Path, own: Any) -> None:
    with running_worker(tmp_path / "log"):
        sent = chord([si("replaced_oddly", "elsewhere"), si("same", 1)], s("total")).delay()
        waits = task("replaced_oddly").delay("revoked")
        until(lambda: [job_of(one).run_at.year for one in (sent.parent[0], waits)] == [9999, 9999], timeout=GET)
        until(lambda: Job.objects.filter(status="completed").count() == 2, timeout=GET)
        prune.bury_forsaken(own, 3600.0)
        assert len(open_jobs()) == 3
        prune.bury_forsaken(own, 0.0)
        assert (job_of(sent.parent[0]).status, job_of(waits).status) == ("failed", "pending")
        assert job_of(sent.parent[0]).last_error.startswith("ReplacementEnded: ")
        assert DeadLetterQueue.objects.get().error_class == "ReplacementEnded"
        until(lambda: AsyncResult(sent.id).state == "FAILURE", timeout=GET)


@pytest.mark.parametrize("task_id", [None, "طلب", 'the "first"', "a\\b"])
def test_what_is_still_to_be_told_or_sent_keeps_a_replaced_job(own: Any, task_id: str | None) -> None:
    held, other = job_in("running"), job_in("failed")
    if task_id:
        Job.objects.filter(id=held.id).update(task_id=task_id)
        held.task_id = task_id
    with connection.cursor() as cursor:
        assert transitions.replace(cursor, Run(id=held.id, runs=1))
        chained = {"embed": {"chain": [{"task": "t.same", "options": {"task_id": str(held.task_id)}}]}}
        cursor.execute("UPDATE jobs_job SET options = %s WHERE id = %s", [json.dumps(chained), other.id])
    Aftermath.objects.create(job=other.id)
    prune.bury_forsaken(own, 0.0)
    assert Job.objects.get(id=held.id).status == "pending"
    Aftermath.objects.all().delete()
    prune.bury_forsaken(own, 0.0)
    assert Job.objects.get(id=held.id).status == ("pending" if task_id else "failed"), "one whose id JSON escapes is left alone"


def test_what_waits_is_read_once_and_not_for_each_job_that_is_held(own: Any) -> None:
    with own.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) " + replaced._FORSAKEN, {"held": HELD, "after": 0, "seconds": 0})
        plan = [node for node in nodes(cursor.fetchone()[0][0]["Plan"]) if node.get("Subplan Name") == "CTE live"]
    assert len(plan) == 1
    assert plan[0]["Parent Relationship"] == "InitPlan"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
