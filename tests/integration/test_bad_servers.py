"""Addresses that cannot be read, servers that do not answer, tables that are missing: one line, and no traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jobs.dev import embedded
from task_queue_project import servers
from tests.integration.test_lost_servers import asker
from tests.integration.test_services import manage
from tests.mail_server import free_port
from tests.waiting import until
from tests.workers import ROOT

WORKER = [
    *("celery", "-A", "task_queue_project", "worker", "--loglevel=info"),
    *("-P", "gevent", "--concurrency=4", "--prefetch-multiplier=1"),
]
COMMANDS = [
    *(["migrate"], ["createsuperuser", "--noinput"], ["runserver", "127.0.0.1:0"], ["up"], ["demo"], ["services", "status"], ["dispatch"]),
    *(["enqueue", "jobs.tasks.sleep", "--args=[0]"], ["jobs"], ["test_priority_concurrency"], ["test_dead_letter_queue"]),
]
REMEDIES = ("DATABASE_URL", "REDIS_URL", "make up", "services start", "task_queue_db", "6379")


def run(environ: dict[str, str], command: list[str]) -> tuple[int, str]:
    """The exit code and what was written; whether it was to stdout or stderr."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_bad_address_is_one_line_of_every_command(own_environ: dict[str, str], words: list[str]) -> None:
    ended = manage(own_environ | {"DATABASE_URL": "mysql://u:hidden@h/d"}, *words)
    assert ended.returncode != 0
    assert ended.stderr.strip().splitlines() == [
        "DATABASE_URL is not a PostgreSQL address: postgres://USER:PASSWORD@HOST:PORT/DATABASE is expected"
    ]
    assert ended.stdout == ""


@pytest.mark.parametrize("words", [["migrate"], ["jobs"], ["up"]], ids=lambda words: words[0])
def test_a_bad_redis_address_is_one_line_too(own_environ: dict[str, str], words: list[str]) -> None:
    ended = manage(own_environ | {"REDIS_URL": "http://:hidden@h"}, *words)
    assert ended.returncode != 0
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "REDIS_URL is not a Redis address" in ended.stderr
    assert "hidden" not in ended.stderr


@pytest.mark.parametrize("variable", [pytest.param("DATABASE_URL", marks=pytest.mark.slow), "REDIS_URL"])
def test_a_bad_address_ends_worker_and_web_server(own_environ: dict[str, str], variable: str) -> None:
    for command in (WORKER, ["gunicorn", "task_queue_project.wsgi", f"--bind=127.0.0.1:{free_port()}", "--no-control-socket"]):
        code, output = run(own_environ | {variable: "gopher://u:hidden@h"}, command)
        assert code != 0
        assert len([line for line in output.splitlines() if variable in line]) == 1
        assert "Traceback" not in output
        assert "hidden" not in output


IN_SHORT = ("enqueue", "jobs", "migrate")  # whose ways to a server differ


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, marks=() if words[0] in IN_SHORT else pytest.mark.slow) for words in COMMANDS if words[0] != "services"],
    ids=lambda words: words[0],
)
def test_servers_that_do_not_answer_are_one_line_with_the_remedies(own_environ: dict[str, str], words: list[str]) -> None:
    nowhere = {"DATABASE_URL": "postgres://u:hidden@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0"}
    ended = manage(own_environ | nowhere, *words)
    assert ended.returncode != 0
    (line,) = ended.stderr.strip().splitlines()
    assert all(remedy in line for remedy in REMEDIES), line
    assert "hidden" not in line + ended.stdout


def test_a_postgresql_that_hangs_is_one_line_too(own_environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the system takes connections in, and nobody answers them
        address = f"postgres://u:hidden@127.0.0.1:{mute.getsockname()[1]}/d?connect_timeout=2"
        ended = manage(own_environ | {"DATABASE_URL": address}, "enqueue", "jobs.tasks.sleep", "--args=[0]")
    assert ended.returncode != 0
    (line,) = ended.stderr.strip().splitlines()
    assert all(remedy in line for remedy in REMEDIES), line
    assert "hidden" not in line + ended.stdout


def test_a_worker_without_servers_says_so_once_and_ends(own_environ: dict[str, str]) -> None:
    nowhere = {"DATABASE_URL": "postgres://u:hidden@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0"}
    began = time.monotonic()
    code, output = run(own_environ | nowhere, WORKER)
    assert code == 1
    (line,) = output.strip().splitlines()
    assert all(remedy in line for remedy in REMEDIES), line
    assert "hidden" not in line
    assert 10 <= time.monotonic() - began < 50, "a server that restarts gets some seconds"


@contextmanager
def part(environ: dict[str, str], log: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its log, in a group of its own; asked to end, and waited for."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(40)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def ready(port: int) -> tuple[int, list[str]]:
    """What /readyz answers; (0, []) while nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers={"Accept-Language": "en"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)["reasons"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["reasons"]
    except OSError:
        return 0, []


def test_missing_migrations_are_said_and_waited_for(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    """Also when only the newest is missing. Then everything goes on by itself."""
    urls = embedded.start(data_dir)
    environ, port = own_environ | urls, free_port()
    ask = asker(urls["DATABASE_URL"])
    logs = {name: tmp_path / name for name in ("worker", "leader", "web")}
    says = "waiting for the migrations: run python manage.py migrate"
    with (
        part(environ, logs["worker"], ["-m", *WORKER]) as worker,
        part(environ, logs["leader"], ["manage.py", "dispatch"]) as leader,
        part(environ, logs["web"], ["-m", "gunicorn", "task_queue_project.wsgi", f"--bind=127.0.0.1:{port}", "--no-control-socket"]),
    ):
        until(lambda: all(says in logs[name].read_text() for name in ("worker", "leader")), timeout=40)
        assert until(lambda: ready(port), timeout=20)
        until(lambda: ready(port)[0], timeout=30)
        assert ready(port) == (503, ["Migrations are missing: run “manage.py migrate”."])
        assert manage(environ, "migrate", "jobs", "0001", "-v", "0").returncode == 0  # some tables are there, the newest is not
        ask("INSERT INTO jobs_job (task, args) VALUES ('jobs.tasks.sleep', '[0]')")
        assert ready(port)[1] == ["Migrations are missing: run “manage.py migrate”."]
        assert (worker.poll(), leader.poll(), ask("SELECT count(*) FROM jobs_worker")) == (None, None, 0)
        assert manage(environ, "migrate", "-v", "0").returncode == 0
        until(lambda: ask("SELECT status FROM jobs_job") == "completed", timeout=40)
        until(lambda: ready(port) == (200, []), timeout=10)
        assert [logs[name].read_text().count("waiting for") for name in ("worker", "leader")] == [1, 1]
        assert not any("Traceback" in log.read_text() for log in logs.values())
    assert (worker.returncode, leader.returncode) == (0, 0)


def test_a_database_that_there_is_not_yet_is_said_once_and_waited_for(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    """As a server that is away: somebody may be about to create it."""
    urls, log = embedded.start(data_dir), tmp_path / "log"
    with part(own_environ | urls, log, ["manage.py", "dispatch", "--database-name", "later"]) as leader:
        until(lambda: "waiting for PostgreSQL: " in log.read_text(), timeout=40)
        assert 'database "later" does not exist' in log.read_text()
        with closing(servers.connect(urls["DATABASE_URL"], timeout=5)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("CREATE DATABASE later")
        until(lambda: "waiting for the migrations" in log.read_text(), timeout=40)
    assert (leader.returncode, len(log.read_text().splitlines())) == (0, 2)


def test_a_signal_ends_a_worker_that_waits(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    environ, log = own_environ | embedded.start(data_dir), tmp_path / "log"
    with part(environ, log, ["-m", *WORKER]) as worker:
        until(lambda: "waiting for the migrations" in log.read_text(), timeout=40)
        worker.send_signal(signal.SIGTERM)
        worker.wait(15)
    assert "Traceback" not in log.read_text()
