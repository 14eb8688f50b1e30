"""What is said of embedded servers that cannot be started or stopped."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from jobs.dev import embedded, locking, redis_server, startup
from jobs.dev.supervisor import Supervisor

BUSY = "another process starts or stops these servers (it holds {}/services.lock)"


@pytest.fixture
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder without servers, where nobody waits for another's start or stop."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(embedded, "PATIENCE", 0)
    return tmp_path


def slow(*rest: object) -> None:
    """A server whose program hangs."""
    subprocess.run(["/bin/sleep", "60"], timeout=0.01, check=True)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_servers_that_another_process_starts_are_one_line(folder: Path, action: str) -> None:
    with translation.override("en"), locking.held(folder / "services.lock", wait=0), pytest.raises(CommandError) as error:
        call_command("services", action)
    assert str(error.value) == BUSY.format(folder)


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_program_that_takes_too_long_is_one_line(folder: Path, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "redis").mkdir()
    monkeypatch.setattr(redis_server, action, slow)
    monkeypatch.setattr(embedded.postgres, "start", lambda *rest: ("", folder))
    with translation.override("en"), pytest.raises(CommandError) as error:
        call_command("services", action)
    assert str(error.value) == "sleep took longer than 0 s"


def test_up_beside_another_start_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own start is refused, and so is the stop at its end."""
    for name in embedded.BOTH:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(startup, "_require_free_port", lambda port: None)
    monkeypatch.setattr(Supervisor, "watch_signals", lambda self: None)
    with translation.override("en"), locking.held(folder / "services.lock", wait=0), pytest.raises(CommandError) as error:
        call_command("up")
    assert str(error.value) == f"up: {BUSY.format(folder)}"
