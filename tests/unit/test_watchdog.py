"""The watchdog's last act."""

import os
import subprocess
import sys
import threading
from contextlib import closing, suppress
from types import SimpleNamespace

import psycopg2
import pytest

from jobs.celery_app import process_engine
from jobs.celery_app.running import Outcome
from jobs.domain.statuses import Status
from jobs.models import Job
from jobs.store import engine
from jobs.store.transitions import Run
from jobs.worker.flush import Change
from jobs.worker.watchdog import OVERDUE_S, STOPPED_S, Watchdog
from tests.rows import job_in
from tests.waiting import until

PROGRAM = """
import sys, time
import django
django.setup()
from types import SimpleNamespace
import billiard
from jobs.worker.watchdog import Watchdog

FORK
Watchdog(SimpleNamespace(worker_id=1, held={}))._end("told to stop", [], [])
"""
ALONE = PROGRAM.replace("FORK", "")
WITH_CHILD = PROGRAM.replace("FORK", 'billiard.get_context("fork").Process(target=time.sleep, args=(600,)).start()')


def test_it_ends_the_children_of_a_prefork_worker_too_while_postgresql_is_away() -> None:
    """The child holds the output open: were it left alive, `run` would wait for it."""
    environ = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run([sys.executable, "-c", WITH_CHILD], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 70
    assert "told to stop; the process ends itself" in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_keeps_locked_keeps_no_neighbour_from_its_release() -> None:
    jobs = [job_in("running") for _ in range(4)]
    held = [Outcome(run=Run(id=job.id, runs=1), task=None) for job in jobs]
    completed = Change(held[3].run, "1")
    with closing(engine.connect("holder")) as holder, holder.cursor() as cursor:
        holder.autocommit = False
        cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [jobs[0].id])
        Watchdog(SimpleNamespace(worker_id=1, completions=[completed]))._settle(held[:2], held, [])
    found = dict(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("id", "status"))
    assert [found[job.id] for job in jobs] == [Status.RUNNING, Status.PENDING, Status.PENDING, Status.COMPLETED]


def test_it_ends_a_worker_whose_log_nobody_takes() -> None:
    """Its stderr is a pipe that is full (a log driver that blocks): what hangs may be just that."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with suppress(BlockingIOError):
        while os.write(writes, b"." * 4096):
            pass
    os.set_blocking(writes, True)
    environ = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with subprocess.Popen([sys.executable, "-c", ALONE], env=environ, stderr=writes) as process:
        try:
            assert process.wait(60) == 70
        finally:
            process.kill()
    os.close(reads)
    os.close(writes)


class _Ended(Exception):
    """In place of the end of the process."""


def test_a_hook_that_holds_the_process_past_its_deadline_ends_it() -> None:
    """The end of its run is written, so that it is held no more."""
    outcome = Outcome(run=Run(id=7, runs=1), task=None, settled=True)
    ending, said = {outcome.run: outcome}, []

    def end(reason: str, *_: object) -> None:
        said.append(reason)
        raise _Ended

    engine = SimpleNamespace(held={}, ending=ending, registration=SimpleNamespace(hang_up=lambda: None), hang_up=lambda: None)
    watchdog = Watchdog(engine)
    watchdog.sleep, watchdog._end = lambda _: None, end  # type: ignore[method-assign]
    with outcome.body.running(-OVERDUE_S), pytest.raises(_Ended):
        watchdog._run()
    assert said == ["job 7 is past its deadline, and its body cannot be ended"]


@pytest.mark.parametrize("answer", ["none", "a refusal"])
def test_a_body_that_cannot_be_given_back_keeps_no_worker_from_its_end(answer: str) -> None:
    """Of threads or solo, told to stop at once while PostgreSQL is away, or refuses the row."""
    go_on = threading.Event()
    asked, answered, said = [], [], []

    def write(change: object, **_: object) -> bool:
        asked.append(change)
        answered.append(answer == "a refusal" or go_on.wait(20))
        raise psycopg2.IntegrityError("a trigger says no")

    watchdog, outcome = Watchdog(SimpleNamespace(held={})), Outcome(run=Run(id=7, runs=1), task=None)
    watchdog._end = lambda reason, *_: said.append(reason)  # type: ignore[method-assign]
    watchdog.is_cold, watchdog.stopping = True, 100.0
    process_engine.use(SimpleNamespace(write=write))  # type: ignore[arg-type]
    try:
        for now in (101.0, 101.25, 100.1 + STOPPED_S):
            watchdog._look_at_the_stop([outcome], now)
            until(lambda: asked)
        assert said == ["the worker was told to stop, and something in it does not end"]
        assert len(asked) == 1 or answer != "none"
    finally:
        go_on.set()
        until(lambda: not watchdog.interrupted)
        process_engine.use(None)
    assert all(answered)
