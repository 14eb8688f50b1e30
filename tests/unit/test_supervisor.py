"""The supervisor alone, with parts that are one-line programs."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.utils import translation

from jobs.dev import locking, processes, startup
from jobs.dev.console import Console, Log
from jobs.dev.parts import GIVE_UP, Part
from jobs.dev.supervisor import Supervisor
from jobs.worker import sentry, watchdog
from tests.waiting import until


def part(tmp_path: Path, program: str, *, token: str = "", is_ready: Callable[[Part], bool] = lambda part: False) -> Part:
    """A part that runs a Python program."""
    environ = {**os.environ, processes.TOKEN: token}
    command = [sys.executable, "-c", program]
    return Part(name="part", command=command, log=Log(tmp_path / "part.log"), environ=environ, folder="/", is_ready=is_ready, delay=0.001)


def supervised(*parts: Part, token: str = "none", grace: float = 5) -> tuple[Supervisor, Console]:
    """A supervisor of these parts."""
    console = Console()
    return Supervisor(console=console, parts=list(parts), token=token, grace=grace), console


def test_it_gives_up_a_part_that_never_gets_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = part(tmp_path, "import sys; print('the reason'); sys.exit(3)")
    supervisor, console = supervised(broken)
    with translation.override("en"):
        assert supervisor.run() == 1
        supervisor.stop()
    console.close()
    printed = capsys.readouterr().out
    assert broken.deaths == GIVE_UP
    assert "part ended (exit 3), starting it again" in printed
    assert "  the reason" in printed.split("last lines")[1]


def test_a_part_that_was_ready_once_is_started_for_ever(tmp_path: Path) -> None:
    broken = part(tmp_path, "pass", is_ready=lambda part: True)
    broken.start()
    until(lambda: broken.poll(time.monotonic()) == "" and broken.ready)
    broken.deaths = 100
    assert not broken.gave_up
    assert broken.process is not None
    broken.process.wait(timeout=10)


def test_a_part_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    """No process or no memory is left, for now, or its program is not there."""
    broken = part(tmp_path, "pass")
    command, broken.command = broken.command, [str(tmp_path / "nowhere")]
    with translation.override("en"):
        line = broken.poll(time.monotonic())
    assert line.startswith("part ended ([Errno 2] No such file")
    assert line.endswith(", starting it again in 0 s")
    broken.command = command
    assert broken.poll(broken.due - 0.0001) == ""
    assert broken.process is None
    assert broken.poll(broken.due) == ""
    assert broken.process is not None
    broken.process.wait(timeout=10)


def test_delays_grow_and_have_an_end(tmp_path: Path) -> None:
    broken = part(tmp_path, "raise SystemExit(1)")
    broken.delay = 1.0
    delays = []
    for _ in range(8):
        broken.due = 0
        broken.poll(time.monotonic())
        until(lambda: broken.poll(broken.started + 1) != "")
        delays.append(broken.delay)
    assert delays == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]


def test_stop_kills_what_does_not_end_and_its_children(tmp_path: Path) -> None:
    token = processes.new_token(tmp_path)
    deaf = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
        "print('deaf', flush=True); signal.pause()"
    )
    stubborn = part(tmp_path, deaf, token=token)
    supervisor, console = supervised(stubborn, token=token, grace=0.3)
    stubborn.start()
    until(lambda: "deaf" in (tmp_path / "part.log").read_text())
    assert len(processes.family(token)) == 2
    supervisor.stop()
    console.close()
    assert processes.family(token) == []


@pytest.mark.parametrize(("own", "given"), [(0.0, 0.0), (3.0, 3.0), (25.0, 20.0), (60.0, 20.0)])
def test_a_worker_has_ended_before_it_would_be_killed(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: float, given: float
) -> None:
    settings.JOBS_SHUTDOWN_GRACE, settings.DATA_DIR = own, tmp_path
    made: list[Supervisor] = []
    monkeypatch.setattr(startup, "_run", lambda supervisor, *rest: made.append(supervisor) or 0)
    monkeypatch.setattr(startup, "_require_free_port", lambda port: None)
    monkeypatch.setattr(Supervisor, "watch_signals", lambda self: None)
    assert startup.run() == 0
    assert float(startup._environment({}, "token")["JOBS_SHUTDOWN_GRACE"]) == given
    assert startup._environment({}, "token")["JOBS_SITE_URL"] == f"http://127.0.0.1:{settings.PORT}/"
    waits = made[0].grace - given
    assert waits > watchdog.STOPPED_S + 2 * watchdog.EACH_S + 1, "its watchdog gives back what does not end"
    assert waits > sentry.LATE_S + 2 * sentry.EACH_S + sentry.STACKS_S, "its sentry ends it where that cannot"
    assert made[0].grace < 27, "the servers stop after it, and everything within 30 s"


def test_a_terminal_that_does_not_read_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()

    def blocked(*args: object, **options: object) -> None:
        stuck.wait(30)
        raise OSError("the terminal is gone")

    monkeypatch.setattr("builtins.print", blocked)
    console = Console()
    began = time.monotonic()
    for number in range(20_000):
        console.say(str(number))
    console.close()
    assert time.monotonic() - began < 5
    stuck.set()


def test_a_log_that_grew_too_long_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.dev.console.LIMIT", 1000)
    log = Log(tmp_path / "x.log")
    with log.path.open("ab", buffering=0) as file:
        file.write(b"long\n" * 500)
        assert len(log.new_lines()) == 500
        file.write("بعد\n".encode())
    assert log.new_lines() == ["بعد"]
    assert log.path.stat().st_size < 100
    assert (tmp_path / "x.1.log").stat().st_size == 2500


def test_a_log_that_somebody_has_emptied_is_shown_on(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.log")
    with log.path.open("ab", buffering=0) as file:
        file.write(b"long ago\n" * 500 + b"begun")
        assert len(log.new_lines()) == 500
        log.path.open("wb").close()  # `> worker.log`
        file.write(b"now\n")
    assert log.new_lines() == ["now"]
    assert log.new_lines() == []


def test_only_their_owner_reads_logs(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold tracebacks, and prepare.log the first password; also those that an earlier version left open."""
    monkeypatch.setattr("jobs.dev.console.LIMIT", 10)
    settings.BASE_DIR = tmp_path  # where the preparation finds no project, which prepare.log says
    supervisor, console = supervised()
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o755)
    (folder / "prepare.log").touch(mode=0o644)
    before = os.umask(0o022)
    try:
        with pytest.raises(startup.CannotStart):
            startup._prepare(supervisor, tmp_path, {**os.environ, "DJANGO_SETTINGS_MODULE": "none"})
        worker = part(folder, "print('a line that is too long')")
        worker.start()
        assert worker.process is not None
        worker.process.wait(timeout=20)
        worker.log.new_lines()
    finally:
        os.umask(before)
        console.close()
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in (folder, *folder.iterdir())}
    assert modes == {"logs": "700", "prepare.log": "600", "prepare.1.log": "600", "part.log": "600", "part.1.log": "600"}


def test_only_one_holds_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not locking.is_held(path)
    with locking.held(path, wait=0):
        assert locking.is_held(path)
        with pytest.raises(locking.Busy), locking.held(path, wait=0.1):
            pass
    assert not locking.is_held(path)
    assert not path.exists()


def test_many_wait_for_a_lock_and_get_it_one_by_one(tmp_path: Path) -> None:
    inside: list[int] = []
    most = []

    def take() -> None:
        with locking.held(tmp_path / "lock", wait=20):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_a_worker_is_known_by_what_its_launcher_started(tmp_path: Path) -> None:
    """python.exe of a virtual environment on Windows starts the real one, which writes its own number into its row."""
    launched = "import os; print(os.getpid(), flush=True); input()"
    launcher = part(
        tmp_path, f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {launched!r}], stdin=subprocess.PIPE).wait()"
    )
    launcher.start()
    process = launcher.process
    assert process is not None
    until(lambda: launcher.log.path.read_text().strip())
    family = [psutil.Process(number) for number in processes.descent(process.pid)]
    try:
        assert [one.pid for one in family] == [process.pid, int(launcher.log.path.read_text())]
    finally:
        for one in reversed(family):
            one.kill()
        process.wait(timeout=10)
    assert processes.descent(process.pid) == [process.pid]
