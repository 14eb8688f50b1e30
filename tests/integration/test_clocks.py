"""Workers and producers whose host's clock is wrong by ten minutes: only the database's counts. And a database's that is set."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from jobs import enqueue
from jobs.dev import embedded
from jobs.models import Job
from jobs.store import clock
from tests.integration.test_election import candidate
from tests.own_postgres import Server, working
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None) if shutil.which("sh") else None
EXPIRED = """
import django; django.setup()
from tests.taskapp.tasks import add
add.apply_async((3, 3), expires=1)
add.apply_async((4, 4), countdown=1)
"""
DUE = """
import sys, django; django.setup()
from django.core.management import CommandError, call_command
from jobs.management.commands.jobs import overview
call_command("enqueue", "jobs.tasks.fail", "--run-at", sys.argv[1])
try:
    call_command("enqueue", "jobs.tasks.fail", "--run-at", sys.argv[2])
except CommandError:
    print("refused", overview()["not_due"])
"""


class Clock:
    """That of a PostgreSQL of the test's own, which may be set."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = server.data_dir.parent / "clock"  # which the server's user may read
        self.server = server
        self.set(0)
        server.start()
        server.control("stop")
        for name, value in {
            "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        server.control("start")
        for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"):
            monkeypatch.delenv(name)

    def set(self, seconds: int) -> None:
        """So far from the right one."""
        draft = self.file.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self.file)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def shifted(minutes: int) -> dict[str, str]:
    """The environment of a process whose clock is off."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{minutes:+d}m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


IN_CHAOS = [pytest.param(minutes, pool, marks=pytest.mark.chaos) for pool in ("prefork", "threads", "solo") for minutes in (10, -10)]


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
@pytest.mark.parametrize(("minutes", "pool"), [(10, "gevent"), pytest.param(-10, "gevent", marks=pytest.mark.slow), *IN_CHAOS])
def test_a_clock_that_is_wrong_by_ten_minutes_has_no_effect(tmp_path: Path, minutes: int, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2 if pool == "prefork" else 4, **shifted(minutes), JOBS_RETRY_BACKOFF="1"):
        jobs = [enqueue("t.add", args=[1, 1], delay=1), enqueue("t.send_later"), enqueue("t.permanent")]
        failing = enqueue("jobs.tasks.fail", max_retries=1)
        ended = ("completed", "failed")
        until(lambda: Job.objects.filter(status__in=ended).count() == 6, timeout=20, what="all six have ended")
    states = dict(Job.objects.values_list("id", "status"))
    assert [states[job.id] for job in jobs] == ["completed", "completed", "failed"]
    assert states[failing.id] == "failed"
    for job in Job.objects.filter(task="t.add"):
        waited = (job.started_at - job.run_at).total_seconds()
        assert 0 <= waited < 60, "neither early nor late"  # the clock is wrong by ten times as much
        assert (job.run_at - job.created_at).total_seconds() < 5
        assert job.status == "completed", "nothing has expired"


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("minutes", [pytest.param(10, marks=pytest.mark.slow), -10])
def test_what_a_producer_with_a_wrong_clock_sends_is_due_and_expires_in_time(tmp_path: Path, minutes: int) -> None:
    environ = environment(**shifted(minutes), DJANGO_SETTINGS_MODULE="task_queue_project.settings")
    subprocess.run([sys.executable, "-c", EXPIRED], cwd=ROOT, env=environ, check=True, timeout=60)
    expiring, later = Job.objects.order_by("id")
    assert (later.run_at - later.created_at).total_seconds() == pytest.approx(1, abs=0.5)
    until(lambda: (clock.now() - expiring.created_at).total_seconds() > 1.5, timeout=10, what="its second has passed")
    with running_worker(tmp_path / "log"):
        until(lambda: set(Job.objects.values_list("status", flat=True)) == {"cancelled", "completed"}, timeout=20)
    assert Job.objects.get(id=expiring.id).status == "cancelled"


@pytest.mark.slow
@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
def test_what_runs_while_the_clock_of_the_database_is_set_ends_as_if_it_had_not_been(
    data_dir: Path, own_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hours forward, as after the sleep of its machine, and back; and no standby takes its leader for one that is stuck."""
    server = Server(data_dir)
    clock_of = Clock(server, monkeypatch)
    environ = own_environ | {"DATABASE_URL": server.url, "REDIS_URL": embedded.running(data_dir)["REDIS_URL"]}
    left = "SELECT extract(epoch FROM deadline_at - clock_timestamp())::int FROM jobs_job WHERE id = %s"
    insert = "INSERT INTO jobs_job (task, args, max_retries) VALUES ('jobs.tasks.sleep', '[8]', 0) RETURNING id"
    with working(server, environ, data_dir / "log"), candidate(data_dir / "standby", **environ):
        until(lambda: server.ask("SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name LIKE 'jobs leader%%'"), timeout=30)
        for seconds in (7200, 0):
            job = server.ask(insert)
            until(lambda job=job: server.ask("SELECT status = 'running' FROM jobs_job WHERE id = %s", job), timeout=20)
            assert 3500 < server.ask(left, job) <= 3600
            clock_of.set(seconds)
            until(lambda job=job: 3500 < (server.ask(left, job) or 0) <= 3600, timeout=7, what="its deadline is as far away as before")
            until(lambda job=job: server.ask("SELECT finished_at IS NOT NULL FROM jobs_job WHERE id = %s", job), timeout=20)
            assert server.ask("SELECT status FROM jobs_job WHERE id = %s", job) == "completed"
        assert server.ask("SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name LIKE 'jobs leader%%'")
    assert "does not answer" not in (data_dir / "log").read_text() + (data_dir / "standby").read_text()


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("minutes", [pytest.param(10, marks=pytest.mark.slow), -10])
def test_commands_on_a_host_with_a_wrong_clock_know_what_is_due_and_what_is_past(minutes: int) -> None:
    environ = environment(**shifted(minutes), DJANGO_SETTINGS_MODULE="task_queue_project.settings")
    moments = [(clock.now() + timedelta(minutes=far)).isoformat() for far in (5, -5)]
    done = subprocess.run([sys.executable, "-c", DUE, *moments], cwd=ROOT, env=environ, capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [str(Job.objects.get().pk).encode(), b"refused", b"1"]
