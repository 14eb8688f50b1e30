"""Sessions of PostgreSQL that stop answering while a claim or an end is on its way: it is sent again over another one."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import gevent
import psycopg2
import pytest
from django.db import connection
from psycopg2 import extensions

from jobs import enqueue, enqueue_many
from jobs.models import Job
from jobs.store import prepared
from jobs.store.engine import connect
from jobs.store.transitions import Run
from jobs.worker import green_waits, mute
from jobs.worker.group_commit import GroupCommit
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from tests.green_engine import WORKER, group_commit
from tests.rows import task_id_of
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
SAID = "PostgreSQL has not answered"


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.fixture
def green() -> Iterator[None]:
    """psycopg2 waits as in a gevent worker."""
    green_waits.patch()
    yield
    extensions.set_wait_callback(None)


@contextmanager
def stopped_sessions(name: str) -> Iterator[None]:
    """PostgreSQL's processes for the sessions whose name begins so are stopped (SIGSTOP), and go on when the block ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, %s)", [name])
        pids = [pid for (pid,) in cursor.fetchall()]
    assert pids
    if not all(_is_here(pid) for pid in pids):
        pytest.skip("PostgreSQL is on another machine")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        until(lambda: not any(_is_here(pid) for pid in pids), timeout=20, what="what was cut has ended")


def _is_here(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"postgres:")
    except FileNotFoundError:
        return False


@contextmanager
def plain_engine() -> Iterator[PlainEngine]:
    made = PlainEngine(Registration(WORKER | {"pool": "threads"}))
    yield made
    made.registration.leave()
    made.close()


@contextmanager
def watchdog(engine: GroupCommit | PlainEngine) -> Iterator[None]:
    """What the watchdog's thread does of it."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            engine.hang_up()

    thread = threading.Thread(target=look)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.parametrize(("make", "name"), [(group_commit, "jobs-commit"), (plain_engine, "jobs-engine")])
def test_what_gets_no_answer_is_sent_again(
    make: type[GroupCommit | PlainEngine], name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mute, "MUTE_S", 0.5)
    ended, begun = (Run(id=enqueue("t.same", args=[1]).id, runs=1) for _ in range(2))
    with make() as engine:
        run = Run(id=ended.id, runs=1, worker=engine.worker_id)
        assert engine.claim(run, task_id_of(run.id), "celery", 5)
        with watchdog(engine):
            assert SAID not in caplog.text
            with stopped_sessions(name):
                assert engine.complete(run, "2")
            assert caplog.text.count(SAID) == 1
            with stopped_sessions(name):
                assert engine.claim(begun, task_id_of(begun.id), "celery", 5)
    found = Job.objects.filter(pk__in=[ended.id, begun.id]).order_by("pk")
    assert list(found.values_list("status", "runs", "attempts")) == [("completed", 1, 1), ("running", 1, 1)], "the stopped ones went on"


def test_a_long_result_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[str] = []
    monkeypatch.setattr(mute, "cut", cut.append)
    now = [0.0]
    monkeypatch.setattr(mute.time, "monotonic", lambda: now[0])
    patience = mute.Patience()
    patience.begin("long", 10 * mute.SLOWEST)
    patience.begin("short")
    for now[0] in (mute.MUTE_S, mute.MUTE_S + 1, mute.MUTE_S + 10):
        patience.hang_up()
    assert cut == ["short"]
    now[0] += 1
    patience.hang_up()
    assert cut == ["short", "long"]


@contextmanager
def stalled_commits() -> Iterator[threading.Event]:
    """What changes jobs is committed when the event is set; a disk, or a standby that is to have it first, may take that long."""
    go_on = threading.Event()
    with closing(connect("stalls")) as other, other.cursor() as cursor:
        cursor.execute(
            """CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN WHILE NOT pg_try_advisory_xact_lock_shared(4711) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NULL; END $$;
               CREATE CONSTRAINT TRIGGER stall AFTER UPDATE ON jobs_job DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION stall();
               SELECT pg_advisory_lock(4711)"""
        )
        holder = threading.Thread(target=lambda: go_on.wait(60) and cursor.execute("SELECT pg_advisory_unlock(4711)"))
        holder.start()
        try:
            yield go_on
        finally:
            go_on.set()
            holder.join()
            cursor.execute("DROP FUNCTION stall CASCADE")


def waits_for_a_row(name: str) -> bool:
    with closing(connect("looks")) as other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, %s) AND wait_event_type = 'Lock'", [name])
        return bool(cursor.fetchone()[0])


@pytest.mark.usefixtures("green")
def test_a_claim_whose_commit_is_not_answered_keeps_its_slot(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It was refused, as a lock kept its row, and its slot was given away; then it was committed, and one job too many ran in the table."""
    monkeypatch.setattr(mute, "MUTE_S", 0.5)
    run, other = (Run(id=enqueue("t.same", args=[1]).id, runs=1) for _ in range(2))
    with group_commit() as engine:
        engine.slots = 1
        assert engine.claim(run, task_id_of(run.id), "celery", 5)
        task_id = task_id_of(other.id)
        with watchdog(engine), stalled_commits() as go_on:
            ends, begins = gevent.spawn(engine.complete, run, "2"), gevent.spawn(engine.claim, other, task_id, "celery", 5)
            until(lambda: gevent.sleep(0.01) or SAID in caplog.text, what="the session is cut")
            until(lambda: gevent.sleep(0.01) or waits_for_a_row("jobs-engine"), what="the end is written alone")
            assert not begins.ready()
            go_on.set()
            assert (ends.get(timeout=20), begins.get(timeout=20)) == (True, True)
    assert list(Job.objects.order_by("pk").values_list("status", "runs")) == [("completed", 1), ("running", 1)]


def test_so_does_one_of_another_pool(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(mute, "MUTE_S", 0.5)
    run, tries, claim = Run(id=enqueue("t.same", args=[1]).id, runs=1), list[int](), prepared.claim
    monkeypatch.setattr(prepared, "claim", lambda *given, **more: tries.append(1) or claim(*given, **more))
    with plain_engine() as engine, ThreadPoolExecutor(1) as threads, watchdog(engine), stalled_commits() as go_on:
        begins = threads.submit(engine.claim, run, task_id_of(run.id), "celery", 5)
        until(lambda: SAID in caplog.text, what="the session is cut")
        until(lambda: begins.done() or len(tries) > 2, what="it is sent again, and meets the lock")
        assert not begins.done()
        go_on.set()
        assert begins.result(timeout=20)
    assert Job.objects.values_list("status", "runs").get() == ("running", 1)


@pytest.mark.parametrize(
    ("pool", "name"),
    [("gevent", "jobs-commit"), *(pytest.param(pool, "jobs-engine", marks=pytest.mark.slow) for pool in ("threads", "prefork"))],
)
def test_the_slots_of_a_worker_go_on(tmp_path: Path, pool: str, name: str) -> None:
    log = tmp_path / "log"
    with running_worker(log, pool=pool) as _:
        first = enqueue_many("t.nap", [((0.2,), {})] * 8)
        until(lambda: Job.objects.filter(pk__in=first, status="completed").count() == 8, timeout=30)
        with stopped_sessions(name):
            jobs = enqueue_many("t.nap", [((0.2,), {})] * 8)
            until(lambda: Job.objects.filter(pk__in=jobs, status="completed").count() == 8, timeout=60)
    assert set(Job.objects.filter(pk__in=jobs).values_list("runs", "losses")) == {(1, 0)}
    assert SAID.encode() in log.read_bytes()


@pytest.mark.usefixtures("green")
def test_a_connect_in_a_greenlet_ends_after_its_time() -> None:
    given = connection.get_connection_params()
    wanted = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}
    for seconds in (0, 5):
        with closing(psycopg2.connect(**wanted, connect_timeout=seconds)) as own, own.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    with socket.create_server(("127.0.0.1", 0)) as silent, gevent.Timeout(20):  # it takes connections in, nobody answers
        began = time.monotonic()
        with pytest.raises(psycopg2.OperationalError, match="has not answered within 1 s"):
            psycopg2.connect(**wanted | {"host": "127.0.0.1", "port": silent.getsockname()[1]}, connect_timeout=1)
        assert 1.9 < time.monotonic() - began < 10
