"""Workers whose lock is cut, that are stopped, told to stop, or whose greenlets are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import pytest
from celery import current_app
from django.db import connection, transaction

from jobs import enqueue, enqueue_many
from jobs.models import Attempt, DeadLetterQueue, Job
from tests.proxy import Proxy, proxy
from tests.rows import are, open_gate
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LOADED = 2


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@contextmanager
def database_behind_a_proxy(folder: Path) -> Iterator[tuple[Proxy, str]]:
    """A proxy before the test database's socket, and the DATABASE_URL that leads through it."""
    parts = urlsplit(environment()["DATABASE_URL"])
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    name = f".s.PGSQL.{options['port']}"
    with proxy(str(Path(options["host"]) / name), folder / name) as between:
        query = f"host={quote(str(folder))}&port={options['port']}"
        yield between, urlunsplit(parts._replace(query=query))


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unix socket's path has a hundred characters at most."""
    return tmp_path_factory.mktemp("s")


def is_lock(first: bytes) -> bool:
    return b"jobs-worker-life" in first


@pytest.mark.parametrize("seconds", [5, pytest.param(20, marks=pytest.mark.chaos)])
def test_without_its_lock_a_worker_admits_nothing(tmp_path: Path, short_path: Path, seconds: int) -> None:
    """The lock's connection is cut and cannot come back; all others work."""
    with database_behind_a_proxy(short_path) as (between, url), running_worker(tmp_path / "log", DATABASE_URL=url):
        long = enqueue_many("t.nap", [((seconds + 2,), {})] * 2)
        until(lambda: are("running", *long), timeout=20)
        between.refuses = is_lock
        assert between.cut(is_lock) == 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            cut = cursor.fetchone()[0]
        waiting = enqueue_many("t.add", [((n, 1), {}) for n in range(20)])
        time.sleep(seconds)  # how long it stays away
        assert Job.objects.filter(started_at__gt=cut).count() <= 2, "what the cut met on its way into the two slots"
        between.refuses = lambda first: False
        until(lambda: are("completed", *long, *waiting), timeout=60)
    assert not DeadLetterQueue.objects.exists()
    assert max(Job.objects.filter(id__in=waiting).values_list("runs", flat=True)) == 1


@pytest.mark.parametrize("pool", ["gevent", pytest.param("threads", marks=pytest.mark.chaos)])
def test_a_lock_whose_connection_goes_mute_is_taken_again(tmp_path: Path, short_path: Path, pool: str) -> None:
    """PostgreSQL has freed it; what lies between tells the worker nothing and acknowledges all it sends."""
    log = tmp_path / "log"
    with database_behind_a_proxy(short_path) as (between, url), running_worker(log, pool=pool, DATABASE_URL=url):
        until(lambda: are("completed", enqueue("t.add", args=[1, 2]).id), timeout=20)
        assert between.mute(is_lock) == 1
        until(lambda: b"the worker's lock is held again" in log.read_bytes(), timeout=20)
        after = enqueue_many("t.add", [((n, 1), {}) for n in range(20)])
        until(lambda: are("completed", *after), timeout=20)
    assert max(Job.objects.filter(id__in=after).values_list("runs", flat=True)) == 1


GEVENT = ("gevent", b"jobs-commit", b"UPDATE 1")
THREADS = ("threads", b"jobs-engine", b"UPDATE 1")


@pytest.mark.parametrize(("pool", "name", "answer"), [GEVENT, pytest.param(*THREADS, marks=pytest.mark.chaos)])
def test_a_lost_answer_of_a_claim(tmp_path: Path, short_path: Path, pool: str, name: bytes, answer: bytes) -> None:
    """PostgreSQL has committed the claim, the worker does not learn it. The job is not stuck and does not run twice at once."""
    with database_behind_a_proxy(short_path) as (between, url), running_worker(tmp_path / "log", pool=pool, DATABASE_URL=url):
        first = enqueue("t.add", args=[1, 2]).id  # the connection exists from now on
        until(lambda: are("completed", first), timeout=20)
        between.loses = lambda begin, data: name in begin and answer in data
        job = enqueue("t.nap", args=[1]).id
        until(lambda: between.lost, timeout=10)
        until(lambda: are("completed", job), timeout=20)
    found = Job.objects.get(id=job)
    assert (found.status, found.attempts, found.losses) == ("completed", 1, 0)
    assert found.runs == (1 if pool == "gevent" else 2), "gevent sends the claim again; the others give the row back"


@pytest.mark.parametrize("what", ["claim", "complete"])
def test_a_greenlet_is_killed_meanwhile(what: str) -> None:
    """The row is locked for a moment, so that the greenlet can be killed between question and answer."""
    job = enqueue("t.add", args=[1, 2]).id
    environ = environment(DJANGO_SETTINGS_MODULE="task_queue_project.settings")
    command = [sys.executable, "-m", "tests.killed_greenlet", what, str(job)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            with transaction.atomic():
                Job.objects.select_for_update().get(id=job)
                print(file=process.stdin, flush=True)
                assert process.stdout.readline() == "killed\n"
            if what == "complete":
                until(lambda: Job.objects.get(id=job).status == "completed", timeout=5)
                assert Job.objects.get(id=job).result == 7
            else:
                until(lambda: Job.objects.get(id=job).runs == 1, timeout=5, what="the claim is won all the same")
                until(lambda: Job.objects.get(id=job).status == "pending", timeout=3 * LOADED, what="and given back")
                assert Job.objects.get(id=job).attempts == 0
        finally:
            process.kill()


@pytest.mark.chaos
def test_a_stopped_worker_keeps_its_jobs_until_their_deadline(tmp_path: Path) -> None:
    with (
        running_worker(tmp_path / "stopped", "-n", "stopped@here", "-Q", "celery", JOBS_LEADER_CHILD="False") as stopped,
        running_worker(tmp_path / "other", "-n", "other@here", "-Q", "celery,other"),
    ):
        ids = enqueue_many("t.nap", [((8,), {})] * 8, timeout=None)  # four of them run on each
        until(lambda: are("running", *ids), timeout=20)
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            until(lambda: Job.objects.filter(id__in=ids, status="completed").count() == 4, timeout=20)
            time.sleep(30)  # far longer than a dead worker is given
            assert Job.objects.filter(id__in=ids, status="running").count() == 4
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        until(lambda: are("completed", *ids), timeout=20)
        assert set(Job.objects.filter(id__in=ids).values_list("runs", flat=True)) == {1}
        assert stopped.poll() is None


def test_a_late_result_of_a_stopped_worker_is_refused_and_shown(tmp_path: Path) -> None:
    """Its deadline passes while the worker is stopped: the job runs again elsewhere, the first result comes too late."""
    with (
        running_worker(tmp_path / "stopped", "-n", "stopped@here", JOBS_LEADER_CHILD="False") as stopped,
        running_worker(tmp_path / "leads", "-n", "leads@here", "-Q", "nothing"),
    ):
        job = enqueue("t.nap_and_add", args=[1.5, 1], timeout=3).id
        until(lambda: are("running", job), timeout=20)
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            until(lambda: Attempt.objects.filter(job=job, outcome="timed out").exists(), timeout=20)
            with running_worker(tmp_path / "other", "-n", "other@here", JOBS_LEADER_CHILD="False"):
                until(lambda: are("completed", job), timeout=20)
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        until(lambda: "arrived later and was refused" in Attempt.objects.get(job=job, run=1).message, timeout=10)
    found = Job.objects.get(id=job)
    assert (found.status, found.runs, found.attempts, found.result) == ("completed", 2, 2, 2)
    assert "came late and was refused" in (tmp_path / "stopped").read_text()


def told(how: str, worker: subprocess.Popen[bytes]) -> None:
    if how == "control":
        current_app.control.shutdown(destination=["ends@here"])
    elif how == "SIGINT":
        worker.send_signal(signal.SIGINT)
    else:
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        worker.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "how", [pytest.param("twice", marks=pytest.mark.slow), *(pytest.param(name, marks=pytest.mark.chaos) for name in ("SIGINT", "control"))]
)
def test_a_worker_that_is_told_to_stop(tmp_path: Path, how: str) -> None:
    """It admits nothing more, gives its jobs the grace, releases the rest, which run again at once elsewhere, and ends with 0."""
    with (
        running_worker(tmp_path / "ends", "-n", "ends@here", JOBS_SHUTDOWN_GRACE="3") as ends,
        running_worker(tmp_path / "stays", "-n", "stays@here", "-Q", "celery,other"),
    ):
        fillers = enqueue_many("t.nap", [((4,), {})] * 4, queue="other")
        until(lambda: are("running", *fillers), timeout=20)
        short, long = enqueue("t.gate", args=["told"]).id, enqueue_many("t.nap", [((15,), {})] * 3, timeout=None)
        until(lambda: are("running", short, *long), timeout=20)
        begin = time.monotonic()
        told(how, ends)
        open_gate("told")  # it ends within the grace
        after = enqueue("t.add", args=[1, 2]).id
        assert ends.wait(3 + 5 * LOADED) == 0
        assert time.monotonic() - begin < 3 + 5 * LOADED
        until(lambda: are("completed", short, after, *long), timeout=60)
    assert (Job.objects.get(id=short).runs, Job.objects.get(id=after).runs) == (1, 1)
    for job in Job.objects.filter(id__in=long):
        given_back = Attempt.objects.get(job=job)
        assert (job.runs, job.attempts, given_back.outcome) == (2, 1, "interrupted")
        assert (job.started_at - given_back.finished_at).total_seconds() < 2 * LOADED


@pytest.mark.parametrize("pool", ["prefork", *(pytest.param(name, marks=pytest.mark.chaos) for name in ("threads", "solo"))])
def test_other_pools_stop_within_the_grace_too(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2, JOBS_SHUTDOWN_GRACE="1") as worker:
        job = enqueue("t.nap", args=[60]).id
        until(lambda: are("running", job), timeout=20)
        worker.send_signal(signal.SIGTERM)
        told = time.monotonic()
        code = worker.wait(30)
        assert time.monotonic() - told < 1 + 5 * LOADED
    found = Job.objects.get(id=job)
    assert (found.status, found.attempts, found.losses) == ("pending", 0, 0)
    assert code == (70 if pool == "threads" else 0), "a thread in a call cannot be ended: the process ends itself"
