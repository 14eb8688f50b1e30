"""The engine of a gevent worker alone, when PostgreSQL refuses what it is sent: one job's trouble is no other's, and it goes on."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import psycopg2
import pytest
from celery import current_app
from django.db import connection

from jobs import enqueue
from jobs.celery_app import settle
from jobs.models import Chord, Job
from jobs.store import transitions
from jobs.store.canvas import Part
from jobs.store.insert import NewJob
from jobs.store.links import Linked
from jobs.store.transitions import Run
from jobs.worker.flush import batch
from jobs.worker.group_commit import GroupCommit
from tests.green_engine import group_commit
from tests.rows import task_id_of
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
DEEP = "[" * 20_000 + "]" * 20_000  # more levels than PostgreSQL's stack has room for


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.fixture
def engine() -> Iterator[GroupCommit]:
    with group_commit() as made:
        yield made


def new() -> Run:
    return Run(id=enqueue("t.same", args=[1]).id, runs=1)


def claimed(engine: GroupCommit) -> Run:
    run = new()
    assert engine.claim(run, task_id_of(run.id), "celery", 5)
    return run


def test_a_batch_of_nothing_is_not_sent(engine: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had was refused here, or was the end of a chord's task, which is counted by a statement of its own."""
    engine.slots, run, other, batches = 1, claimed(engine), new(), list[int]()
    monkeypatch.setattr("jobs.worker.flush.batch", lambda *given, **more: batches.append(1) or batch(*given, **more))
    assert not engine.claim(other, task_id_of(other.id), "celery", 5)
    assert batches == []
    assert engine.complete(run, "1")
    assert batches == [1]


def goes_on(engine: GroupCommit) -> None:
    """Another job is claimed and completed."""
    run = claimed(engine)
    assert engine.complete(run, "2")
    assert Job.objects.get(id=run.id).status == "completed"


def test_a_table_that_is_locked_when_the_connection_is_made(engine: GroupCommit) -> None:
    run, other = new(), connection.copy()
    name = task_id_of(run.id)
    with other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE")
        assert not engine.claim(run, name, "celery", 5)
        cursor.execute("ROLLBACK")
    other.close()
    assert engine.claim(run, name, "celery", 5)


@pytest.mark.parametrize("runs", [2**31 - 1, 2**31 - 2])
def test_a_claim_that_is_refused_is_that_jobs_own_trouble(engine: GroupCommit, runs: int, caplog: pytest.LogCaptureFixture) -> None:
    """The row has said that it ran as often as a number can tell."""
    odd, neighbours = new(), [new() for _ in range(3)]
    Job.objects.filter(id=odd.id).update(runs=runs)
    if runs < 2**31 - 1:
        with connection.cursor() as cursor:  # what a project may have put there
            cursor.execute(f"ALTER TABLE jobs_job ADD CONSTRAINT own CHECK (runs <= {runs})")
    try:
        asked = [gevent.spawn(engine.claim, run, task_id_of(run.id), "celery", 5) for run in (Run(id=odd.id, runs=runs + 1), *neighbours)]
        assert [claim.get() for claim in asked] == [False, True, True, True]
        assert odd.id not in engine.held
        assert "a change of jobs is refused" in caplog.text
        goes_on(engine)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE jobs_job DROP CONSTRAINT IF EXISTS own")


def test_no_claim_takes_the_slot_of_an_end_that_was_refused_with_it(engine: GroupCommit) -> None:
    """By PostgreSQL's clock it would run beside the one that has not ended there. It is dispatched again."""
    engine.slots = 1
    ending, following = claimed(engine), new()
    ends = gevent.spawn(engine.complete, ending, DEEP)
    begins = gevent.spawn(engine.claim, following, task_id_of(following.id), "celery", 5)
    assert begins.get() is False
    with pytest.raises(psycopg2.Error, match="stack depth"):
        ends.get()
    assert set(engine.held) <= {ending.id}


def test_a_result_of_too_many_levels_is_that_jobs_own_trouble(engine: GroupCommit) -> None:
    run, neighbour = claimed(engine), claimed(engine)
    beside = gevent.spawn(engine.complete, neighbour, "1")
    with pytest.raises(psycopg2.Error, match="stack depth"):
        engine.complete(run, DEEP)
    assert beside.get()
    goes_on(engine)


def test_a_completion_that_cannot_be_sent_is_that_jobs_own_trouble(engine: GroupCommit) -> None:
    run = claimed(engine)
    with pytest.raises(ValueError, match="NUL"):
        engine.complete(run, "\0")
    goes_on(engine)


def test_a_header_task_that_cannot_be_sent_is_that_jobs_own_trouble(engine: GroupCommit) -> None:
    run = claimed(engine)
    part = Part(chord="a\0b", task_id="x", place=0, state="SUCCESS", result="1", failed=False)
    assert engine.complete_counted(run, "1", part, lambda cursor: transitions.complete(cursor, run, result="1"))
    assert Job.objects.get(id=run.id).status == "completed"
    goes_on(engine)


def test_the_end_of_a_chord_is_no_error_in_the_log_of_postgresql(engine: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would have all the results in it."""
    Chord.objects.create(id="two", size=2)
    refused: list[Exception] = []
    ask = engine._ask

    def asked(*given: Any) -> Any:
        try:
            return ask(*given)
        except psycopg2.Error as error:
            refused.append(error)
            raise

    monkeypatch.setattr(engine, "_ask", asked)
    alone = []
    for place in range(2):
        run = claimed(engine)

        def body(cursor: Any, run: Run = run) -> bool:
            alone.append(run.id)
            return bool(transitions.complete(cursor, run, result="1"))

        part = Part(chord="two", task_id=str(run.id), place=place, state="SUCCESS", result="1", failed=False)
        assert engine.complete_counted(run, "1", part, body)
        assert Job.objects.get(id=run.id).status == "completed"
    assert alone == [run.id]
    assert Chord.objects.get(id="two").done == 1
    assert refused == []
    goes_on(engine)


def test_a_claim_waits_for_a_header_task_that_is_written_alone_in_the_slot_before_it(engine: GroupCommit) -> None:
    engine.slots = 1
    ending, following = claimed(engine), new()
    part = Part(chord="a\0b", task_id="x", place=0, state="SUCCESS", result="1", failed=False)
    ends = gevent.spawn(engine.complete_counted, ending, "1", part, lambda cursor: transitions.complete(cursor, ending, result="1"))
    begins = gevent.spawn(engine.claim, following, task_id_of(following.id), "celery", 5)
    assert begins.get(timeout=20) is True
    assert ends.get(timeout=20) is True
    first, second = Job.objects.get(id=ending.id), Job.objects.get(id=following.id)
    assert first.finished_at <= second.started_at


def test_an_end_that_is_written_alone_has_a_slot_until_then(engine: GroupCommit) -> None:
    """It gave up its own when it was sent with others."""
    parked: list[Any] = []
    engine.on_parked = parked.append
    with pytest.raises(psycopg2.Error, match="stack depth"):
        engine.complete(claimed(engine), DEEP)
    assert [bool(greenlet) for greenlet in parked] == [False]


@pytest.mark.parametrize("queues", [[], ["celery"]], ids=["as any other", "handed on"])
def test_the_log_names_a_link_of_a_chain_whose_end_waits(engine: GroupCommit, queues: list[str]) -> None:
    asked: list[dict[str, Any]] = []
    engine.may_hand_on = lambda new: queues
    engine.write = lambda change, **options: asked.append(options) or Linked(begun=0, seconds=0.0)
    assert engine.complete_linked(Run(id=7, runs=1), result=None, meta=None, new=NewJob(task="t.add"), written=lambda cursor: False)
    assert [options["job"] for options in asked] == [7]


def order_of(engine: GroupCommit, monkeypatch: pytest.MonkeyPatch, seconds: float | None) -> list[str]:
    """What happens when one job ends and another begins, whose body lasts so long; None: no time, it only ends."""
    order: list[str] = []
    send = GroupCommit._send

    def spied(*args: Any) -> Any:
        order.append("sent")
        return send(*args)

    first, second = claimed(engine), new()
    monkeypatch.setattr(GroupCommit, "_send", spied)

    def end() -> None:
        engine.complete(first, "1")
        order.append("first told")

    def begin() -> None:
        engine.claim(second, task_id_of(second.id), "celery", 5)
        order.append("second begun")
        if seconds is not None:
            gevent.sleep(seconds)
        engine.complete(second, "2")
        order.append("second told")

    gevent.joinall([gevent.spawn(end), gevent.spawn(begin)], raise_error=True)
    return order


def test_an_end_is_told_while_the_next_batch_is_on_its_way(engine: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    assert order_of(engine, monkeypatch, None) == ["sent", "second begun", "sent", "first told", "second told"]


def test_an_end_is_told_at_once_where_no_batch_follows(engine: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    assert order_of(engine, monkeypatch, 0.2) == ["sent", "second begun", "first told", "sent", "second told"]


class Ended:
    """A run whose body has ended, and has sent two jobs."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.task = SimpleNamespace(app=current_app._get_current_object())
        self.closing, self.settled = True, False
        self.changes = [NewJob(task="t.same", args="[1]", task_id=f"next {n}") for n in range(2)]
        self.parts: list[object] = []


def waiting_for_a_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])


def test_a_run_that_ends_when_the_grace_is_over_loses_nothing_of_what_it_sent(engine: GroupCommit) -> None:
    """The worker is told to stop: its time is over while the end of a run, with what follows from it, is being written."""
    run, other = claimed(engine), connection.copy()
    outcome = Ended(run)
    engine.held[run.id] = outcome
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [run.id])
        ends = threading.Thread(target=settle.complete, args=(outcome, 1))
        ends.start()
        until(lambda: waiting_for_a_lock() == 1)
        stops = threading.Thread(target=settle.release, args=(outcome,))
        stops.start()
        until(lambda: waiting_for_a_lock() == 2)
        cursor.execute("ROLLBACK")
    other.close()
    for thread in (ends, stops):
        thread.join(20)
    assert Job.objects.get(id=run.id).status == "completed"
    assert Job.objects.filter(task_id__startswith="next").count() == 2
    assert outcome.settled
