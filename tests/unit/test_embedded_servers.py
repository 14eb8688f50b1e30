"""What is said of embedded servers that cannot be started or stopped."""

import errno
import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from jobs.dev import embedded, locking, places, postgres, processes, redis_server, startup
from jobs.dev.console import Console, Log
from jobs.dev.parts import GIVE_UP, Part
from jobs.dev.reviving import Reviver
from jobs.dev.supervisor import Supervisor

BUSY = "another process is starting or stopping these servers (it holds {}/services.lock)"


@pytest.fixture
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder without servers, where nobody waits for another's start or stop."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(embedded, "PATIENCE", 0)
    return tmp_path


def slow(*rest: object) -> None:
    """A server whose program hangs."""
    subprocess.run(["/bin/sleep", "60"], timeout=0.01, check=True)


@pytest.mark.parametrize("words", [["services", "start"], ["services", "stop"], ["up"]])
def test_a_folder_that_cannot_be_written_is_one_line(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere: another system's error stands for it."""

    def refuse(path: Path, *rest: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (folder / "up.lock").touch()
    monkeypatch.setattr(locking, "os", SimpleNamespace(open=refuse, O_RDWR=0, O_CREAT=0, name="posix"))
    with pytest.raises(CommandError, match=r"^(up: )?\[Errno 13\] Permission denied: '.*\.lock'$"):
        call_command(*words)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_servers_that_another_process_starts_are_one_line(folder: Path, action: str) -> None:
    with translation.override("en"), locking.held(folder / "services.lock", wait=0), pytest.raises(CommandError) as error:
        call_command("services", action)
    assert str(error.value) == BUSY.format(folder)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_program_that_takes_too_long_is_one_line(folder: Path, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "redis").mkdir()
    monkeypatch.setattr(redis_server, action, slow)
    monkeypatch.setattr(postgres, "start", lambda *rest: ("", folder))
    with translation.override("en"), pytest.raises(CommandError) as error:
        call_command("services", action)
    assert str(error.value) == "sleep took longer than 0 s"


@pytest.mark.parametrize("module", [postgres, redis_server])
def test_servers_of_another_user_are_left_to_him(module: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One `sudo make up` in somebody's folder would give his database to nobody; and what root has made, no other user can start."""
    (folder / "server" / "data").mkdir(parents=True)
    owner, taken = os.geteuid(), []
    for who, others in ((owner + 1, {}), (0, {"user": owner + 2, "group": owner + 2})):
        monkeypatch.setattr(os, "geteuid", lambda who=who: who or owner + 1)
        monkeypatch.setattr(places, "unprivileged", lambda others=others: others)
        monkeypatch.setattr(os, "chown", lambda *words: taken.append(words))
        for action in ("start", "stop"):
            with translation.override("en"), pytest.raises(places.EmbeddedError, match=r"^.*/server belongs to the user .*: run this as"):
                getattr(module, action)(folder / "server")
    assert taken == []


@pytest.mark.parametrize("name", ["x$(touch made)", "x`touch made`", 'x"; touch made; "', "$HOME"])
def test_a_folder_whose_name_a_shell_would_read_is_refused(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "is_running", lambda folder: False)
    monkeypatch.setattr(postgres, "_data", lambda folder: folder)  # root's would be elsewhere
    monkeypatch.setattr(postgres, "run", lambda *command: pytest.fail(f"{command}"))
    with translation.override("en"), pytest.raises(places.EmbeddedError, match="a shell would interpret its"):
        postgres.start(folder / name / "postgres")
    places.remove_socket_folder(folder / name / "postgres")
    postgres._refuse_shell(folder / "5 $ to go" / "مجلد", folder / "a\\b's $")


@pytest.mark.parametrize(("said", "reason"), [("", "pg_ctl: could not start server"), ("FATAL:  of today\n", "FATAL:  of today")])
def test_why_postgresql_does_not_start_is_not_read_of_earlier_starts(
    said: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = folder / "server.log"
    log.write_text("FATAL:  of yesterday\n")

    def run(*words: object) -> None:
        with log.open("a") as file:
            file.write(said)
        raise places.EmbeddedError("pg_ctl: could not start server")

    monkeypatch.setattr(postgres, "run", run)
    monkeypatch.setattr(postgres, "_clear_stale", lambda *paths: None)
    monkeypatch.setattr(postgres, "time", SimpleNamespace(monotonic=itertools.count(0, 20).__next__))
    with translation.override("en"), pytest.raises(places.EmbeddedError, match=f"^PostgreSQL does not start: {reason}$"):
        postgres._launch(folder, folder, folder)


def test_a_log_of_a_server_that_grew_too_long_is_put_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.dev.console.LIMIT", 1000)
    monkeypatch.setattr(places, "unprivileged", dict)  # who may not enter the folders of pytest
    monkeypatch.setattr(postgres, "_data", lambda folder: folder)  # root's would be elsewhere
    logs = [folder / name / "server.log" for name in ("postgres", "redis")]
    for log in logs:
        log.parent.mkdir()
        log.write_text("x" * 1000)
    reviver = SimpleNamespace(wanted=["DATABASE_URL"], look=lambda: None)
    look = startup._each_second(SimpleNamespace(), folder, reviver)  # type: ignore[arg-type]
    look()
    assert [log.stat().st_size for log in logs] == [1000, 1000]
    with logs[0].open("a") as postgresql:
        for log in logs:
            with log.open("a") as file:
                file.write("y")
        for _ in range(60):
            look()
        postgresql.write("on")
    assert logs[0].read_text() == "on"
    assert not logs[1].exists()
    assert [log.with_suffix(".1.log").stat().st_size for log in logs] == [1001, 1001]


def test_the_folder_of_the_sockets_stays_while_it_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder / "postgres"
    here, there = (tempfile.mkdtemp(prefix="jobs-test-", dir="/tmp") for _ in range(2))
    try:
        monkeypatch.setattr(tempfile, "tempdir", here)
        chosen = places.socket_folder(data)
        monkeypatch.setattr(tempfile, "tempdir", there)
        assert places.socket_folder(data) == chosen == Path(here) / chosen.name
        (folder / "sockets.txt").unlink()  # as an earlier version left it
        (folder / "services.json").write_text(json.dumps({"SOCKETS": {"REDIS_URL": f"{chosen}/redis.sock"}}))
        assert places.socket_folder(data) == chosen
        shutil.copytree(folder, folder / "copy")
        assert places.socket_folder(folder / "copy" / "postgres").parent == Path(there), "a copy of the data has sockets of its own"
        (folder / "services.json").unlink()
        (chosen / "redis.sock").touch()
        places.remove_socket_folder(data)
        assert places.socket_folder(data) == chosen, "what is in use stays"
        (chosen / "redis.sock").unlink()
        places.remove_socket_folder(data)
        assert not chosen.exists()
        assert places.socket_folder(data).parent == Path(there)
        (folder / "sockets.txt").write_text(f"/nowhere/{chosen.name}")
        assert places.socket_folder(data).parent == Path(there)
    finally:
        shutil.rmtree(here)
        shutil.rmtree(there)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_on_windows_one_line_says_what_to_do_instead(folder: Path, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "os", SimpleNamespace(name="nt"))
    with (
        translation.override("en"),
        pytest.raises(CommandError, match=r"do not run on Windows: point DATABASE_URL .* `docker compose up -d"),
    ):
        call_command("services", action)
    assert list(folder.iterdir()) == []


def test_up_beside_another_start_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own start is refused, and so is the stop at its end."""
    for name in embedded.BOTH:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(startup, "_require_free_port", lambda port: None)
    monkeypatch.setattr(Supervisor, "watch_signals", lambda self: None)
    with translation.override("en"), locking.held(folder / "services.lock", wait=0), pytest.raises(CommandError) as error:
        call_command("up")
    assert str(error.value) == f"up: {BUSY.format(folder)}"


def test_up_says_in_arabic_what_keeps_it_from_starting(folder: Path) -> None:
    with socket.socket() as taken, translation.override("ar"):
        taken.bind((startup.HOST, 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(startup.CannotStart, match=rf"^لا يمكن استعمال المنفذ {port}: .*\. اضبط PORT على منفذ آخر$"):
            startup._require_free_port(port)
        with locking.held(folder / "up.lock", wait=0), pytest.raises(CommandError, match=r"^up: يعمل بالفعل في .*العملية"):
            call_command("up")


def test_up_says_in_arabic_what_ends(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    log = Log(folder / "worker.log")
    worker = Part(name="worker", command=[], log=log, environ={}, folder="/", is_ready=lambda part: False, deaths=GIVE_UP)
    supervisor = Supervisor(console=console, parts=[worker], token="", grace=1)
    monkeypatch.setattr(processes, "end_family", lambda token, patience: 2)
    with translation.override("ar"), locking.held(folder / "services.lock", wait=0):
        for code in (70, -9):
            console.say(worker._died(code, 0.0))
        supervisor._give_up(worker)
        startup._end_leftovers(console, folder)
        Reviver(supervisor, folder, [*embedded.BOTH]).revive()
    console.close()
    assert capsys.readouterr().out.splitlines() == [
        "توقف worker (رمز الخروج 70)، ويُشغَّل من جديد بعد 1 ث",
        "توقف worker (الإشارة 9)، ويُشغَّل من جديد بعد 2 ث",
        "up: توقف worker ‏7 مرات قبل أن يصبح جاهزًا ولو مرة. آخر سطوره:",
        "up: أُنهيت عمليتان خلّفهما تشغيل سابق (العملية 0)",
        "up: توقف PostgreSQL، ويُشغَّل من جديد",
        "up: توقف Redis، ويُشغَّل من جديد",
        f"up: عملية أخرى تشغّل هذين الخادمين أو توقفهما (وهي تحجز \u2068{folder}/services.lock\u2069)",
    ]


def test_nobody_waits_for_a_server_that_takes_long_to_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither what it is started beside nor a stop."""
    begun, go_on, started = threading.Event(), threading.Event(), []

    def start(data_dir: Path, *, wanted: list[str]) -> None:
        begun.set()
        assert go_on.wait(10)
        started.append(wanted)

    monkeypatch.setattr(embedded, "start", start)
    supervisor = Supervisor(console=Console(), parts=[], token="", grace=1)
    reviver = Reviver(supervisor, folder, ["REDIS_URL"])
    look = startup._each_second(supervisor, folder, reviver)
    with translation.override("en"):
        for _ in range(3):
            look()
    assert begun.wait(10)
    assert started == []
    supervisor.stopping.set()
    assert supervisor.run() == 0
    go_on.set()
    reviver.end()
    assert started == [["REDIS_URL"]], "once"
    look()
    reviver.end()
    assert started == [["REDIS_URL"]], "not after the stop"
    supervisor.console.close()
    assert capsys.readouterr().out == "up: Redis ended, starting it again\n"


def test_a_server_that_is_not_installed_is_said_in_arabic(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (postgres, redis_server):
        monkeypatch.setattr(module, "wheel", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with translation.override("ar"):
        with pytest.raises(places.EmbeddedError, match=r"^PostgreSQL غير مثبّت هنا: .*، أو اضبط DATABASE_URL$"):
            postgres._binaries()
        with pytest.raises(places.EmbeddedError, match=r"^Redis غير مثبّت هنا: "):
            redis_server.program()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_first_password_is_said_whatever_the_encoding_is(
    settings: Any, tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The preparation writes Arabic into a file that is read as UTF-8."""
    (tmp_path / "jobs" / "dev").mkdir(parents=True)
    for module, text in {"jobs/__init__": "", "jobs/dev/__init__": "", "jobs/dev/preparation": "print('سجّل الدخول')"}.items():
        (tmp_path / f"{module}.py").write_text(text, "utf-8")
    settings.BASE_DIR = tmp_path
    console = Console()
    assert startup._prepare(Supervisor(console=console, parts=[], token="", grace=1), tmp_path, {"PYTHONIOENCODING": encoding})
    console.close()
    assert capsys.readouterr().out == "up: سجّل الدخول\n"
