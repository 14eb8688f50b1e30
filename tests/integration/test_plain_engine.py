"""The engine of threads: what one of them writes holds up no other."""

import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency import get_implementation
from django.db import connection

from jobs import enqueue
from jobs.store.transitions import Run
from jobs.worker.bootsteps import Engine
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from jobs.worker.watch import Watch
from tests.green_engine import WORKER
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def engine() -> Iterator[PlainEngine]:
    made = PlainEngine(Registration(WORKER | {"pool": "threads"}))
    yield made
    made.registration.leave()
    made.close()


def sessions(engine: PlainEngine) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [f"jobs-engine {engine.worker_id}"])
        return int(cursor.fetchone()[0])


def one(cursor: Any) -> int:
    cursor.execute("SELECT 1")
    return int(cursor.fetchone()[0])


def test_a_thread_that_writes_does_not_wait_for_one_whose_write_takes_long(engine: PlainEngine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def long(cursor: Any) -> int:
        begun.set()
        assert go_on.wait(10)
        return one(cursor)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(engine.write, long)
        try:
            assert begun.wait(5)
            assert threads.submit(engine.write, one, single=True).result(timeout=5) == 1
            assert not first.done()
        finally:
            go_on.set()
        assert first.result(timeout=5) == 1
        assert [threads.submit(engine.write, one).result(timeout=5) for _ in range(5)] == [1] * 5
    assert sessions(engine) == 2, "they are kept for the next write, and no more are opened"
    engine.close()
    until(lambda: sessions(engine) == 0)


def test_a_write_that_is_broken_off_leaves_no_session_and_no_half_of_itself(engine: PlainEngine) -> None:
    def broken(cursor: Any) -> None:
        cursor.execute("UPDATE jobs_worker SET name = 'half' WHERE id = %s", [engine.worker_id])
        raise InterruptedError

    with pytest.raises(InterruptedError) as caught:
        engine.write(broken)
    until(lambda: sessions(engine) == 0)
    assert caught, "kept until now, with the frames that know the connection: it is closed, not merely forgotten"

    def name(cursor: Any) -> str:
        cursor.execute("SELECT name FROM jobs_worker WHERE id = %s", [engine.worker_id])
        return str(cursor.fetchone()[0])

    assert engine.write(name) == "w"
    assert not engine.claim(Run(id=1, runs=1), "nobody", "celery", 5), "there is no such job, and the session serves"


@pytest.mark.parametrize("state", ["ABORTED", ""])
def test_a_state_that_was_set_while_the_job_waited_outlives_the_claim(engine: PlainEngine, state: str) -> None:
    """How far the run before was does not."""
    text = json.dumps({"state": state} if state else {"fraction": 0.5, "message": ""})
    job = enqueue("jobs.tasks.sleep", args=[0])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET progress = %s WHERE id = %s", [text, job.id])
    assert engine.claim(Run(id=job.id, runs=1), job.task_id, "celery", 5)
    job.refresh_from_db()
    assert (job.status, job.progress) == ("running", {"state": state} if state else None)


def test_a_worker_stops_while_its_threads_change_what_it_holds(engine: PlainEngine) -> None:
    step, over, before = Engine.__new__(Engine), threading.Event(), sys.getswitchinterval()
    step.told, step.watchdog, step.watch = -1e9, None, Watch(engine)
    step.watch.start()
    engine.held.update(dict.fromkeys(range(500_000)))

    def begin() -> None:
        for id in range(500_000, 5_000_000):
            engine.held[id] = None
            if over.is_set():
                return

    thread = threading.Thread(target=begin)
    thread.start()
    sys.setswitchinterval(1e-5)
    try:
        step.stop(SimpleNamespace(engine=engine, admission=None, pool_cls=get_implementation("threads")))
    finally:
        sys.setswitchinterval(before)
        over.set()
        thread.join()
        step.watch.stop()
