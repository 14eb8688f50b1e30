"""PostgreSQL has committed the end of a run and the connection is lost before the worker hears of it: that is no refusal."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from celery import chain, chord
from celery.result import AsyncResult, allow_join_result
from django.db import connection

from jobs import enqueue
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.models.attempt import Outcome
from jobs.store import late, transitions
from jobs.store.transitions import Failure, Run
from tests.flows import GET, s, si, task
from tests.integration.test_faults_workers import database_behind_a_proxy, short_path  # noqa: F401 - a fixture
from tests.rows import job_in, open_gate
from tests.waiting import until
from tests.workers import environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ENGINE = (b"jobs-engine", b"jobs-commit")
FAILURE = Failure(error_class="OutOfStock", message="pear", traceback="a traceback")
RESCUED = Failure(error_class="WorkerLost", message="", outcome=Outcome.LOST)
# What is sent, so that the job with this id is the one whose end is not heard of.
ENDS: dict[str, Callable[[str], Any]] = {
    "plain": lambda id: task("same").apply_async((1,), task_id=id),
    "a link of a chain": lambda id: (s("same", 1).set(task_id=id) | s("add_one")).delay(),
    "two links": lambda id: task("same").apply_async((1,), task_id=id, link=[s("add_one"), s("add", 5)]),
    "a header task": lambda id: chord([s("same", 1).set(task_id=id), s("same", 2)], s("total")).delay(),
    "the last header task": lambda id: chord([s("same", 1).set(task_id=id)], s("total").set(priority=1)).delay(),
    "replaced": lambda id: (s("replaced", "chain", 1).set(task_id=id) | s("add_one")).delay(),
    "buried": lambda id: task("raises").apply_async(task_id=id, link_error=si("same", 3)),
    "tried again": lambda id: task("retry_later").apply_async(task_id=id),
}
RESULTS = {"plain": 1, "a link of a chain": 2, "a header task": 3, "the last header task": 1, "replaced": 4}
ROWS = {"plain": 1, "a link of a chain": 2, "two links": 3, "a header task": 3, "the last header task": 2, "buried": 2, "tried again": 1}

# Written by their own tasks, over a connection of those; a batch that is on its way meanwhile is not what is to be lost. Nor is what
# the watch asks just then: all but the first end with a COMMIT.
ALONE = ("a link of a chain", "two links", "replaced", "buried", "tried again")


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


class AfterTheCommit:
    """Chooses the first answer to the engine after the run of a job has ended, as others see it; once for each job."""

    def __init__(self, asked: Any) -> None:
        self.asked = asked
        self.asked.autocommit = True
        self.lock = threading.Lock()
        self.task_id, self.engines, self.says = "", ENGINE, b""

    def __call__(self, first: bytes, answer: bytes) -> bool:
        if self.says not in answer or not any(name in first for name in self.engines):
            return False
        with self.lock, self.asked.cursor() as cursor:
            cursor.execute("SELECT FROM jobs_job WHERE task_id = %s AND runs > 0 AND status <> 'running'", [self.task_id])
            if cursor.rowcount:
                self.task_id = ""
            return bool(cursor.rowcount)


@pytest.mark.parametrize("pool", ["gevent", pytest.param("threads", marks=pytest.mark.slow)])
def test_an_answer_that_is_lost_after_the_commit_is_no_refusal(pool: str, tmp_path: Path, short_path: Path) -> None:  # noqa: F811
    """Each end once: what follows from it is sent once, nothing says that it came late, and a burial has its line in the log."""
    log = tmp_path / "log"
    with (
        closing(psycopg2.connect(environment()["DATABASE_URL"])) as asked,
        database_behind_a_proxy(short_path) as (between, url),
        running_worker(log, pool=pool, DATABASE_URL=url),
    ):
        assert task("same").delay(0).get(timeout=GET) == 0  # the connections exist from now on
        chosen = AfterTheCommit(asked)
        for number, (name, send) in enumerate(ENDS.items(), 1):
            before = Job.objects.count()
            chosen.engines = ENGINE[:1] if name in ALONE else ENGINE
            chosen.says = b"COMMIT" if name in ALONE[1:] else b""
            chosen.task_id, between.loses = f"id {number}", chosen
            sent = send(f"id {number}")
            until(lambda number=number: between.lost == number, timeout=GET, what=f"{name}: an answer is lost")  # type: ignore[misc]
            if name in RESULTS:
                assert sent.get(timeout=GET) == RESULTS[name], name
            until(lambda name=name, before=before: Job.objects.count() - before >= ROWS.get(name, 0), timeout=GET)  # type: ignore[misc]
            if name == "tried again":
                until(lambda: "attempt failed" in log.read_text(), timeout=GET)
            else:
                until(lambda: not Job.objects.filter(status__in=("pending", "running")).exists(), timeout=GET, what=name)
            if name in ROWS:
                assert Job.objects.count() - before == ROWS[name], name
        until(lambda: log.read_text().count("failed for good") == 1, timeout=GET)
        sent.revoke()
    assert DeadLetterQueue.objects.count() == 1
    assert "refused" not in log.read_text()
    assert not [each.message for each in Attempt.objects.all() if late.LATE in each.message]
    assert set(Job.objects.values_list("runs", flat=True)) <= {0, 1, 2}
    assert [AsyncResult(f"id {n}").state for n in (1, 2, 3)] == ["SUCCESS"] * 3
    known = log.read_text().count("before the connection was lost")
    assert known == 5, "a link, two links, replaced, buried, tried again; the others are known to the engine itself"


def test_a_link_that_the_leader_sent_meanwhile_is_not_begun_again(tmp_path: Path, short_path: Path) -> None:  # noqa: F811
    """It had to wait for its turn, was claimed by the same worker, and only then the end of the link before is asked for."""
    log = tmp_path / "log"
    with database_behind_a_proxy(short_path) as (between, url), running_worker(log, slots=2, DATABASE_URL=url):
        assert chain(s("same", 1), s("add_one")).delay().get(timeout=GET) == 2  # the connection exists from now on
        enqueue("t.gate", args=["beside"])
        result = chain(s("gate", "before"), s("slow_one", seconds=2)).delay()
        until(lambda: Job.objects.filter(task="t.gate", status="running").count() == 2, timeout=GET)
        enqueue("t.nap", args=[0], priority=9)  # goes before the next link

        def loses(first: bytes, answer: bytes) -> bool:
            if ENGINE[0] not in first or b"SELECT" not in answer:
                return False
            between.refuses = lambda first: ENGINE[0] in first
            return True

        between.loses = loses
        open_gate("before")
        until(lambda: between.lost, timeout=GET)
        open_gate("beside")
        until(lambda: Job.objects.filter(task_id=result.id, status="running").exists(), timeout=GET)
        between.refuses = lambda first: False
        assert result.get(timeout=GET) == 1
        until(lambda: "had the outcome" in log.read_text(), timeout=GET)
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    assert log.read_text().count(f"t.slow_one[{result.id}] received") == 1
    assert Job.objects.get(task_id=result.id).runs == 1
    assert "refused" not in log.read_text()


ENDINGS: dict[str, tuple[Callable[[Any, Run], bool], Failure | None]] = {
    "complete": (lambda cursor, run: transitions.complete(cursor, run, result="1"), None),
    "retry": (lambda cursor, run: transitions.retry(cursor, run, FAILURE, delay=1.0), FAILURE),
    "bury": (lambda cursor, run: transitions.bury(cursor, run, FAILURE, task="t.same"), FAILURE),
    "cancel": (lambda cursor, run: transitions.cancel_running(cursor, run, FAILURE), FAILURE),
    "release": (lambda cursor, run: transitions.release(cursor, run), None),
    "replace": (lambda cursor, run: transitions.replace(cursor, run), None),
}


@pytest.mark.parametrize("verb", ENDINGS)
def test_a_run_knows_its_own_end_and_that_of_another(verb: str) -> None:
    end, failure = ENDINGS[verb]
    own, rescued, running = (Run(id=job_in("running").id, runs=1) for _ in range(3))
    with connection.cursor() as cursor:
        assert end(cursor, own)
        assert transitions.lose(cursor, rescued, RESCUED)
        for run in (own, rescued):
            assert not end(cursor, run)
        assert late.was_written(cursor, own, failure)
        assert not late.was_written(cursor, rescued, failure)
        assert not late.was_written(cursor, running, failure)
        assert not late.was_written(cursor, Run(id=own.id + 1_000, runs=1), failure)


@pytest.mark.parametrize("verb", ENDINGS)
@pytest.mark.parametrize("since", ["waits again", "runs again", "has ended again"])
def test_an_end_that_went_with_the_newest_transactions_was_not_written(verb: str, since: str) -> None:
    """A standby that had not got them took over: the connection was lost then too, and the job is run again under the same number."""
    end, failure = ENDINGS[verb]
    job = job_in("pending" if since == "waits again" else "running")
    mine = Run(id=job.id, runs=1, worker=2)
    with connection.cursor() as cursor:
        if since == "has ended again":
            assert transitions.complete(cursor, Run(id=job.id, runs=1, worker=1), result="2")
        assert not end(cursor, mine)
        assert not late.was_written(cursor, mine, failure)
