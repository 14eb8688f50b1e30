"""PostgreSQL is there and refuses the ends of runs: rights are gone, a table is away, a trigger of somebody's says no."""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psycopg2
import pytest
from celery.utils.functional import LRUCache
from django.db import connection
from django.utils import translation
from kombu.utils.limits import TokenBucket

from jobs import enqueue
from jobs.celery_app import process_engine
from jobs.domain.complaint import Complaint
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.store import engine, late, readiness, refused, transitions, unwritable
from jobs.store.transitions import Failure, Run
from jobs.worker import own_writes, unreadable
from jobs.worker.consumer import Consumer
from jobs.worker.own_writes import OwnWrites
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.rate_limits import Turns
from jobs.worker.registration import Registration
from jobs.worker.watch import Watch
from tests.green_engine import WORKER
from tests.rows import job_in
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = ["threads", pytest.param("gevent", marks=pytest.mark.slow), pytest.param("prefork", marks=pytest.mark.slow)]


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def refusing(code: str, when: str = "NEW.finished_at IS NOT NULL") -> Iterator[None]:
    """A trigger that refuses every end (or what else) with this SQLSTATE."""
    execute(
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF {when} THEN RAISE 'not today' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$""",
        "CREATE TRIGGER refuse BEFORE UPDATE ON jobs_job FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    try:
        yield
    finally:
        execute("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize(
    ("code", "is_transient", "is_lost"),
    [
        ("42501", True, False),  # rights
        ("42P01", True, False),  # no such table
        ("P0001", True, False),  # what a trigger raises
        ("XX000", True, False),
        ("55P03", True, False),  # a lock
        ("25P04", True, True),  # the session was ended
        ("57P01", True, True),
        ("22P02", False, False),
        ("23505", False, False),
        ("54000", False, False),
        ("42804", False, False),  # a number where a text belongs
    ],
)
def test_only_what_other_values_would_change_is_not_tried_again(code: str, is_transient: bool, is_lost: bool) -> None:
    with closing(engine.connect("test")) as own, own.cursor() as cursor:
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{code}'; END $$")
        assert raised.value.pgcode == code
        assert (engine.is_transient(raised.value), engine.is_lost(raised.value)) == (is_transient, is_lost)
        with pytest.raises(psycopg2.Error) as raised:
            cursor.execute("SELECT %s", [object()])
        assert not engine.is_transient(raised.value), "psycopg2 cannot send it"


def test_a_refused_write_is_tried_until_it_is_taken_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_in("running")
    said: list[str] = []
    monkeypatch.setattr("jobs.worker.refused.PATIENCE_S", 0.0)
    monkeypatch.setattr(Complaint, "say", lambda self, error, **_: said.append(f"{self.words}: {error}"))
    pauses: list[float] = []
    with refusing("P0001"):

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                execute("DROP TRIGGER refuse ON jobs_job")

        own = OwnWrites(partial(engine.connect, "test"), sleep)
        end = partial(transitions.complete, run=Run(id=job.id, runs=1), result="1")
        assert own.write(end, single=True, job=job.id)
        own.close()
    assert len(said) == len(pauses) == 3
    assert f"the end of job {job.id} is kept" in said[0]
    assert "not today" in said[0]


def test_a_process_without_descriptors_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """libpq gives no reason then."""
    said: list[str] = []
    monkeypatch.setattr(Complaint, "say", lambda self, error, **_: said.append(str(error)))
    none_left = SimpleNamespace(open=mock.Mock(side_effect=OSError(24, "Too many open files")), close=None, devnull="", O_RDONLY=0)
    monkeypatch.setattr(own_writes, "os", none_left)
    connects = mock.Mock(side_effect=[psycopg2.OperationalError(), psycopg2.OperationalError("no route"), mock.MagicMock()])
    OwnWrites(connects, lambda seconds: None).write(lambda cursor: True)
    assert said == ["[Errno 24] Too many open files", "no route"]


def test_a_trouble_that_passes_soon_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("here"), "Not yet", after=5.0)
    with caplog.at_level(logging.WARNING, "here"):
        for second in (0.0, 4.9, 5.0, 6.0, 66.0):
            complaint.say(OSError("refused"), now=100.0 + second)
    assert [record.getMessage() for record in caplog.records] == ["Not yet: refused"] * 2


@pytest.fixture
def own() -> Iterator[OwnWrites]:
    made = OwnWrites(partial(engine.connect, "test"), lambda seconds: pytest.fail("it waits"))
    yield made
    made.close()


def look(job: Job, own: OwnWrites, unwritten: dict[Run, Failure]) -> Watch:
    """A watch that finds the job running here, held by nobody, at two looks."""
    registration = SimpleNamespace(is_whole=True, running=[(job.id, job.runs, False, job.task_id)])
    watch = Watch(SimpleNamespace(registration=registration, held={}, unbegun=set(), unwritten=unwritten, worker_id=1, write=own.write))
    watch.look()
    watch.look()
    return watch


def test_a_run_whose_end_cannot_be_written_is_a_loss_and_the_last_one_is_its_end(own: OwnWrites) -> None:
    job = job_in("running")
    for losses in (1, 2):
        unwritten = {Run(id=job.id, runs=job.runs): unwritable.REFUSED}
        look(job, own, unwritten)
        job.refresh_from_db()
        assert (job.status, job.losses, job.attempts, unwritten) == ("pending", losses, 0, {})
        with connection.cursor() as cursor:
            run = Run(id=job.id, runs=job.runs + 1)
            assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        job.refresh_from_db()
    unwritten = {Run(id=job.id, runs=job.runs): unwritable.REFUSED}
    with refusing("23514"):
        watch = look(job, own, unwritten)
        assert any("not today" in said for said in watch.complaint.times)
        assert Job.objects.get(id=job.id).status == "running", "and its body is not repeated meanwhile"
    watch.look()
    watch.look()
    assert (Job.objects.get(id=job.id).status, unwritten) == ("failed", {})
    assert set(Attempt.objects.values_list("error_class", flat=True)) == {unwritable.REFUSED.error_class}


def test_a_run_whose_end_cannot_be_written_and_that_was_to_stop_is_cancelled(own: OwnWrites) -> None:
    job = job_in("running")
    Job.objects.filter(id=job.id).update(losses=2, cancel_requested_at=job.started_at)
    look(job, own, {Run(id=job.id, runs=job.runs): unwritable.REFUSED})
    job.refresh_from_db()
    assert (job.status, job.losses) == ("cancelled", 3)
    assert not DeadLetterQueue.objects.exists()


def test_a_refusal_is_no_error_though_the_connection_was_lost_before(own: OwnWrites) -> None:
    """Nobody can be asked in a transaction that has failed; whoever may not wait, as the parent of a killed process, goes on."""
    job, said = job_in("running"), []
    run, failure = Run(id=job.id, runs=1), unwritable.REFUSED
    with refusing("P0001"):
        change = engine.unless_refused(lambda cursor: transitions.bury(cursor, run, failure, task=job.task), said.append)
        assert own.write(change, written=lambda cursor: late.was_written(cursor, run, failure), doubt=True) is False
    assert [error.pgcode for error in said] == ["P0001"]
    assert Job.objects.get(pk=job.id).status == "running"


def test_what_the_watch_cannot_give_back_does_not_hold_it_up(own: OwnWrites) -> None:
    """It keeps the worker's lock; it would have waited until the trigger is gone."""
    job = job_in("running")
    execute(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$""",
        "CREATE TRIGGER refuse BEFORE UPDATE ON jobs_job FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    try:
        watch = look(job, own, {})
    finally:
        execute("DROP FUNCTION refuse CASCADE")
    assert any("not today" in said for said in watch.complaint.times)
    watch.look()
    watch.look()
    assert Job.objects.get(id=job.id).status == "pending"


@pytest.fixture
def plain() -> Iterator[PlainEngine]:
    made = PlainEngine(Registration(WORKER))
    made._own._sleep = lambda seconds: pytest.fail("it waits")
    process_engine.use(made)
    yield made
    process_engine.use(None)
    made.registration.leave()
    made.close()


def met(what: str, job: Job) -> None:
    """The loop of a worker has popped a message of this job, for which no task is to begin."""
    headers = {"job_id": job.id, "runs": 1, "id": job.task_id, "task": job.task, "job_queue": job.queue, "job_priority": job.priority}
    consumer = Consumer.__new__(Consumer)
    if what == "unreadable":
        unreadable.refuse(SimpleNamespace(headers=headers), "so it is")
    elif what == "unknown":
        consumer.unknown = LRUCache()
        consumer.unknown[job.id] = -math.inf
        consumer.on_unknown_task(None, SimpleNamespace(headers=headers), KeyError(job.task))
    else:
        consumer.turns = defaultdict(Turns)
        consumer.turns[job.task].wait(0, 0.1, time.monotonic())
        consumer._limit_task(SimpleNamespace(name=job.task, request_dict=headers), TokenBucket(0.1), 1)


@pytest.mark.parametrize("code", ["P0001", "23514"])
@pytest.mark.parametrize(("what", "status"), [("unreadable", "failed"), ("unknown", "failed"), ("before its turn", "pending")])
def test_a_workers_loop_waits_for_no_trigger_and_outlives_it(plain: PlainEngine, what: str, status: str, code: str) -> None:
    """No other job ran until the trigger was gone, or the worker ended."""
    job = job_in("pending")
    with refusing(code, "NEW.status <> 'running'"):
        met(what, job)
    assert Job.objects.get(id=job.id).status == "running"
    watch = Watch(plain)
    for _ in range(2):
        assert plain.registration.check()
        watch.look()
    assert (Job.objects.get(id=job.id).status, Job.objects.get(id=job.id).attempts) == ("pending", 0)
    other = job_in("pending")
    met(what, other)
    assert Job.objects.get(id=other.id).status == status


@pytest.mark.parametrize("code", ["P0001", "23514"])
def test_a_claim_that_is_refused_is_another_run_later(plain: PlainEngine, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """It kept its slot, or the loop of the worker, until the trigger was gone; or its error was the job's."""
    job = job_in("pending")
    run = Run(id=job.id, runs=1, worker=plain.worker_id)
    with refusing(code, "NEW.status = 'running'"):
        assert [plain.claim(run, job.task_id, "celery", 5) for _ in range(3)] == [False] * 3
        for what in ("unreadable", "unknown", "before its turn"):
            met(what, job)
    assert caplog.text.count("not today") == 1
    assert plain.claim(run, job.task_id, "celery", 5)


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_that_end_while_their_ends_are_refused_have_run_once(tmp_path: Path, pool: str) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    log = tmp_path / "log"
    with running_worker(log, pool=pool), refusing("53100"):  # no room
        ends = [enqueue("t.nap", args=[0.1]).id, enqueue("jobs.tasks.fail", max_retries=0).id]
        until(lambda: all(f"the end of job {id} is kept" in log.read_text() for id in ends), timeout=30, what="the log says so")
        assert until(refused.newest, timeout=10, what="those who watch are told").reason == "not today"
        with translation.override("en"):
            assert "PostgreSQL refuses what workers write: not today" in readiness.reasons()
        assert set(Job.objects.values_list("status", "runs")) == {("running", 1)}
        execute("DROP TRIGGER refuse ON jobs_job")
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=20)
    found: dict[int, Any] = {job.id: (job.status, job.runs, job.losses) for job in Job.objects.all()}
    assert [found[id] for id in ends] == [("completed", 1, 0), ("failed", 1, 0)]
    assert DeadLetterQueue.objects.get().job_id == ends[1]


def test_a_job_whose_every_end_breaks_a_constraint_reaches_one_when_it_does_not(tmp_path: Path) -> None:
    """The body ran again and again, each time for the first time; under threads and prefork the row stayed `running` for ever."""
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    log = tmp_path / "log"
    with running_worker(log, pool="threads"), refusing("23514"):
        id = enqueue("jobs.tasks.fail", max_retries=0).id
        until(lambda: "cannot be given back" in log.read_text(), timeout=60, what="it was lost as often as it may be")
        assert (Job.objects.get(id=id).status, Job.objects.get(id=id).runs) == ("running", 3)
        execute("DROP TRIGGER refuse ON jobs_job")
        until(lambda: Job.objects.get(id=id).status == "failed", timeout=20)
    assert Job.objects.get(id=id).runs == 3
