"""Bodies that end in ways bodies should not: by what is no Exception, with a connection closed, killed while their end is written."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from celery import chord, current_app
from django.db import connection
from gevent import GreenletExit

from jobs import control, enqueue_many
from jobs.celery_app import aftermath, process_engine, settle
from jobs.celery_app.running import Outcome
from jobs.models import Aftermath, DeadLetterQueue, Job
from jobs.store import deadline, transitions
from jobs.store.transitions import Run
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from jobs.worker.watch import Watch
from tests.flows import s, task
from tests.rows import task_id_of
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = {"name": "w", "hostname": "h", "pid": 1, "pool": "threads", "concurrency": 4, "queues": ["celery"], "tasks": [], "versions": {}}
LEAVES = {
    "exit": "TaskExit: SystemExit: 3", "interrupt": "TaskEnded: KeyboardInterrupt: ", "cancelled": "TaskEnded: CancelledError: ",
    "timeout": "TaskEnded: Timeout: 1 second", "killed": "TaskEnded: GreenletExit: ", "own": "TaskEnded: OwnEnd: gone",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def all_ended() -> bool:
    return not Job.objects.filter(finished_at=None).exists()


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("threads", "prefork", "solo"))])
def test_a_body_that_raises_what_is_no_exception_has_failed(tmp_path: Path, pool: str) -> None:
    """SystemExit, asyncio's CancelledError and the like end the task, not its worker; the job does not run for ever."""
    enqueue_many("t.leave", [((how,), {}) for how in LEAVES], max_retries=0)
    with running_worker(tmp_path / "log", pool=pool, slots=2) as worker:
        until(all_ended, timeout=40)
        after = enqueue_many("t.add", [((1, 2), {})] * 8)
        until(lambda: Job.objects.filter(id__in=after, status="completed").count() == 8, timeout=20, what="every slot is free again")
        assert worker.poll() is None
    left = Job.objects.filter(task="t.leave").order_by("id")
    assert {job.args[0]: job.last_error for job in left} == LEAVES
    assert set(left.values_list("status", "runs", "losses")) == {("failed", 1, 0)}
    assert DeadLetterQueue.objects.count() == len(LEAVES)


def test_a_body_may_close_its_connections(tmp_path: Path) -> None:
    enqueue_many("t.close", [((how,), {}) for how in ("django", "all", "raw", "commit off") * 5], max_retries=0)
    with running_worker(tmp_path / "log"):
        until(all_ended, timeout=30)
        enqueue_many("t.session", [((), {})] * 20, max_retries=0)
        until(all_ended, timeout=30)
    assert set(Job.objects.values_list("status", "runs")) == {("completed", 1)}


@pytest.mark.parametrize("pool", ["gevent", pytest.param("threads", marks=pytest.mark.slow)])
def test_a_process_that_a_job_forks_is_not_its_worker(tmp_path: Path, pool: str) -> None:
    """It reads none of the worker's answers, and does not keep the worker's lock when that is killed."""
    with (
        running_worker(tmp_path / "survivor", "-n", "survivor@here"),
        running_worker(tmp_path / "forks", "-n", "forks@here", "-Q", "own", pool=pool, JOBS_LEADER_CHILD="False") as worker,
    ):
        (forked,) = enqueue_many("t.fork", [((60,), {})], queue="own", max_retries=0)
        until(lambda: Job.objects.get(id=forked).status == "completed", timeout=20)
        child = Job.objects.get(id=forked).result
        try:
            others = enqueue_many("t.add", [((1, 2), {})] * 200, queue="own") + enqueue_many("t.program", [((), {})] * 4, queue="own")
            until(lambda: Job.objects.filter(id__in=others, status="completed").count() == 204, timeout=40, what="its worker goes on")
            held = enqueue_many("t.nap", [((60,), {})] * 2, queue="own")
            until(lambda: Job.objects.filter(id__in=held, status="running").count() == 2, timeout=20)
            Job.objects.filter(id__in=held).update(queue="celery", task="t.add", args=[1, 2])
            os.kill(worker.pid, signal.SIGKILL)
            until(lambda: Job.objects.filter(id__in=held, status="completed").count() == 2, timeout=20, what="it is seen to be dead")
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)
    assert set(Job.objects.filter(id__in=others).values_list("runs", flat=True)) == {1}
    assert {job.result for job in Job.objects.filter(task="t.program")} == {"said\n"}
    assert "Exception ignored" not in (tmp_path / "forks").read_text()


@pytest.fixture
def engine() -> Iterator[PlainEngine]:
    made = PlainEngine(Registration(WORKER))
    process_engine.use(made)
    yield made
    process_engine.use(None)
    made.registration.leave()
    made.close()


@pytest.mark.parametrize("terminated", [False, True])
def test_a_run_that_is_terminated_while_its_end_is_written_is_left_to_that(monkeypatch: pytest.MonkeyPatch, terminated: bool) -> None:
    """Otherwise it would be buried beside its own completion."""
    buried: list[str] = []
    monkeypatch.setattr(settle, "bury", lambda task, outcome, failure, error, told: buried.append(failure.error_class))
    backend = SimpleNamespace(mark_as_failure=lambda *args, **options: None)
    task = SimpleNamespace(name="t", backend=backend, request=SimpleNamespace(id="i", outcome=None))
    task.request.outcome = Outcome(run=Run(id=1, runs=1), task=task, closing=True)

    def run() -> None:
        gevent.getcurrent().terminated = terminated
        try:
            raise GreenletExit if terminated else ValueError
        finally:
            settle._on_postrun(task=task)

    with suppress(ValueError):
        gevent.spawn(run).get()
    assert buried == ([] if terminated else ["ValueError"])


def test_a_job_whose_greenlet_is_gone_without_an_end_is_given_back(engine: PlainEngine) -> None:
    (id,) = enqueue_many("t.same", [((1,), {})])
    assert engine.claim(Run(id=id, runs=1), task_id_of(id), "celery", 5)
    greenlet = gevent.spawn(lambda: None)
    greenlet.join()
    outcome = Outcome(run=Run(id=id, runs=1), task=None, closing=True)
    outcome.body.greenlet = greenlet
    engine.held[id] = outcome
    watch = Watch(engine)
    for _ in range(4):
        engine.registration.check()
        watch.look()
    job = Job.objects.get(id=id)
    assert (job.status, job.attempts, job.runs) == ("pending", 0, 1)


def test_telling_of_an_end_waits_for_no_row_that_somebody_keeps_locked(engine: PlainEngine) -> None:
    """The watch does it, which has cancellations and its lock to look at as well."""
    sent = chord([s("same", 1), s("same", 2)], s("total")).apply_async()
    header = Job.objects.get(task_id=sent.parent.results[0].id)
    assert control.cancel([header.id], "sara").done == [header.id]
    locked = connection.copy()
    with locked.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM jobs_chord FOR UPDATE")
        assert aftermath.run(current_app, engine) == 0
        cursor.execute("ROLLBACK")
    locked.close()
    assert aftermath.run(current_app, engine) == 1


@contextmanager
def refusing(task: str, code: str) -> Iterator[None]:
    """A trigger that refuses every insert of this task with this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN IF NEW.task = '{task}' THEN RAISE 'not today' USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$;
                CREATE TRIGGER refuse BEFORE INSERT ON jobs_job FOR EACH ROW EXECUTE FUNCTION refuse()"""
        )
        try:
            yield
        finally:
            cursor.execute("DROP FUNCTION refuse CASCADE")


def leave_untold(engine: PlainEngine, errback: str) -> None:
    """A job that failed without its task, as the leader buries one past its deadline."""
    sent = task("add").apply_async((1, 2), link_error=s(errback), headers={"x": 1})
    job = Job.objects.get(task_id=sent.id)
    run = Run(id=job.id, runs=1)
    assert engine.claim(run, sent.id, job.queue, job.priority)
    assert engine.write(lambda cursor: transitions.bury(cursor, run, deadline.FAILURE, task="t.add"))


@pytest.mark.parametrize(
    ("errback", "refused", "code", "is_kept"),
    [
        ("note_old", "t.note_old", "23514", False),
        ("note_old", "t.note_old", "P0001", True),  # such as may pass
        ("note_request", "t.same", "23514", False),  # it is called in the worker, and sends a task
    ],
)
def test_an_end_that_cannot_be_told_keeps_no_other_from_it(
    engine: PlainEngine, errback: str, refused: str, code: str, is_kept: bool
) -> None:
    """The lowest numbers came first again, and everything of the twenty jobs was rolled back each second."""
    engine._own._sleep = lambda seconds: pytest.fail("it waits")
    for name in (errback, "nap"):
        leave_untold(engine, name)
    with refusing(refused, code):
        assert aftermath.run(current_app, engine) == 2 - is_kept
        assert aftermath.run(current_app, engine) == 0, "it is put off"
    assert Job.objects.filter(task="t.nap").count() == 1
    assert Aftermath.objects.count() == is_kept
    aftermath._later.clear()
    assert aftermath.run(current_app, engine) == is_kept
    assert Job.objects.filter(task=refused).count() == is_kept


def test_what_was_told_is_committed_before_long(engine: PlainEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each errback that is called in the worker may take its time, and what was written before it keeps rows locked."""
    for _ in range(3):
        leave_untold(engine, "note_old")
    monkeypatch.setattr(aftermath, "LONG_S", -1.0)
    assert [aftermath.run(current_app, engine) for _ in range(4)] == [1, 1, 1, 0]
    assert Job.objects.filter(task="t.note_old").count() == 3
