"""`manage.py up`: everything starts, stays, stops, and starts again after every kind of end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.dev import embedded, processes
from tests.integration.test_services import kill_servers, manage, query, servers_of
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Up:
    """A running `up` and what it has printed."""

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        """All that it printed so far."""
        return self.output.read_text("utf-8", errors="replace")

    def says(self, words: str, *, timeout: float = 120) -> None:
        """Wait for words in the output."""
        until(lambda: words in self.text() or self.process.poll() is not None, timeout=timeout, what=words)
        assert words in self.text(), self.text()[-3000:]

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Send a signal, wait for the end; returns the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(timeout=32) == 0, self.text()[-3000:]
        return time.monotonic() - began


@contextmanager
def up(environ: dict[str, str], output: Path) -> Iterator[Up]:
    """Start `manage.py up`; kill it when the test leaves it running."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env={"LANGUAGE_CODE": "en", **environ},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield Up(process, output)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)


def family(data_dir: Path) -> list[psutil.Process]:
    """All processes of the `up` that was recorded last."""
    token = processes.recorded(data_dir)[1]
    return processes.family(token) if token else []


def lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended may wait for whoever is its parent now."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def page(environ: dict[str, str], path: str) -> int:
    """The status of one page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{environ['PORT']}{path}", timeout=10) as response:
        return int(response.status)


def test_it_starts_stops_and_finds_its_data_again(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    with up(own_environ, tmp_path / "first") as first:
        first.says("ready: ")
        assert f"ready: http://127.0.0.1:{own_environ['PORT']}/" in first.text()
        assert page(own_environ, "/healthz") == 200
        assert page(own_environ, "/accounts/login/") == 200
        password = data_dir / "admin-password.txt"
        assert password.read_text().strip() in first.text()
        assert password.stat().st_mode & 0o777 == 0o600
        second = manage(own_environ, "up")
        assert second.returncode == 1
        assert len(second.stderr.strip().splitlines()) == 1
        assert str(first.process.pid) in second.stderr
        members = family(data_dir)
        assert len(members) >= 3
        assert first.stop() < 30
        assert not [process for process in members if lives(process)]
        assert not list(servers_of(data_dir))
        assert [path.name for path in data_dir.glob("*.lock")] == []
    made = {path: path.stat().st_mtime_ns for path in data_dir.rglob("PG_VERSION")}
    assert made
    with up(own_environ, tmp_path / "again") as again:
        again.says("ready: ")
        assert {path: path.stat().st_mtime_ns for path in data_dir.rglob("PG_VERSION")} == made, "nothing is made anew"
        assert "password" not in again.text()
        assert again.stop(signal.SIGINT) < 30


@pytest.mark.slow
def test_it_starts_after_kill_9_of_everything(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    with up(own_environ, tmp_path / "first") as first:
        first.says("ready: ")
        first.process.kill()
        for process in family(data_dir):
            process.kill()
        kill_servers(data_dir)
        first.process.wait(timeout=10)
    with up(own_environ, tmp_path / "again") as again:
        again.says("ready: ")
        again.stop()


@pytest.mark.slow
def test_what_a_killed_supervisor_left_behind_is_ended(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    with up(own_environ, tmp_path / "first") as first:
        first.says("ready: ")
        first.process.kill()
        first.process.wait(timeout=10)
        orphans = family(data_dir)
        assert orphans
    with up(own_environ, tmp_path / "again") as again:
        again.says("ready: ")
        assert "left behind" in again.text()
        assert not [process for process in orphans if lives(process)]
        again.stop()
        assert not list(servers_of(data_dir))


def test_parts_and_servers_that_die_are_started_again(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    with up(own_environ, tmp_path / "output") as running:
        running.says("ready: ")
        servers = [process for process in family(data_dir) if "gunicorn" in " ".join(process.cmdline())]
        min(servers, key=lambda process: process.create_time()).kill()  # the master; the others follow
        running.says("web ended (signal 9), starting it again")
        until(lambda: _answers(own_environ), timeout=20, what="the pages answer again")
        next(process for process in servers_of(data_dir) if "redis.sock" in " ".join(process.cmdline())).kill()
        running.says("Redis ended, starting it again")
        until(lambda: len(embedded.running(data_dir)) == 2, timeout=20, what="Redis answers again")
        running.stop()


def _answers(environ: dict[str, str]) -> bool:
    try:
        return page(environ, "/healthz") == 200
    except OSError:
        return False


@pytest.mark.slow
def test_servers_that_were_started_by_hand_outlive_it(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    assert manage(own_environ, "services", "start").returncode == 0
    with up(own_environ, tmp_path / "output") as running:
        running.says("ready: ")
        running.stop()
    assert len(embedded.running(data_dir)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("task", ["t.nap", "t.spin"])
def test_what_runs_when_it_stops_is_given_back(own_environ: dict[str, str], data_dir: Path, tmp_path: Path, task: str) -> None:
    """Also where a job computes and never switches, so that the worker cannot end in order."""
    assert manage(own_environ, "services", "start").returncode == 0  # they outlive it, and can be asked afterwards
    with up(own_environ | {"JOBS_SHUTDOWN_GRACE": "1", "EXTRA_INSTALLED_APPS": "tests.taskapp"}, tmp_path / "output") as running:
        running.says("ready: ")
        address = embedded.running(data_dir)["DATABASE_URL"]
        query(address, f"INSERT INTO jobs_job (name, task, args, kwargs) VALUES ('', '{task}', '[90]', '{{}}') RETURNING id")

        def job() -> tuple[Any, ...]:
            return query(address, "SELECT status, attempts, losses FROM jobs_job")[0]

        until(lambda: job() == ("running", 1, 0), timeout=20)
        running.stop(signal.SIGINT)
        assert job() == ("pending", 0, 0)
        assert "killed" not in running.text()


def test_a_taken_port_is_one_line(own_environ: dict[str, str], data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(own_environ["PORT"])))
        taken.listen()
        ended = manage(own_environ, "up")
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "PORT" in ended.stderr
    assert "المنفذ" in ended.stderr, "in the project's language"
    assert not list(servers_of(data_dir))


def test_a_signal_during_the_start_ends_it_in_order(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    with up(own_environ, tmp_path / "output") as starting:
        until(lambda: list(servers_of(data_dir)), what="the first server runs")
        assert starting.stop() < 30
    assert not list(servers_of(data_dir))
    assert os.listdir(data_dir)  # what was made so far stays


@pytest.mark.slow
def test_an_interrupt_that_reaches_make_alone_stops_everything(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"up:\n\t@exec {sys.executable} manage.py up\n")
    output = tmp_path / "output"
    with output.open("wb") as file:
        make = subprocess.Popen(
            ["make", "-f", makefile, "up"], cwd=ROOT, env=own_environ, stdout=file, stderr=file, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell starts what runs behind it with SIGINT ignored
        )  # fmt: skip
    try:
        Up(make, output).says("ready: ")
        make.send_signal(signal.SIGINT)
        make.wait(timeout=32)
        assert not list(servers_of(data_dir))
        assert family(data_dir) == []
    finally:
        make.kill()
        make.wait(timeout=10)
