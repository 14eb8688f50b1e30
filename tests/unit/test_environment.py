"""Variables with a wrong value end the program with one line that names them; the secret key is made once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from task_queue_project import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("kind", "text"), [("int", "many"), ("int", "1.5")])
def test_a_wrong_number_names_the_variable(monkeypatch: pytest.MonkeyPatch, kind: str, text: str) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", text)
    with pytest.raises(SystemExit, match="JOBS_SOMETHING"):
        environment.read(kind, "JOBS_SOMETHING", 1)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", " ")
    assert environment.read("int", "JOBS_SOMETHING", 7) == 7


def test_the_secret_key_is_made_once_by_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: environment.secret_key(tmp_path, debug=True), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) > 50
    assert (tmp_path / "secret-key.txt").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret-key.txt"]


def test_without_debug_a_key_is_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(SystemExit, match="SECRET_KEY"):
        environment.secret_key(tmp_path, debug=False)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "keys" / "key"))
    assert environment.secret_key(tmp_path, debug=False) == (tmp_path / "keys" / "key").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:hidden@h/d"),
        ("REDIS_URL", "ftp://u:hidden@h"),
        ("DATABASE_DIRECT_URL", "hidden"),
        ("JOBS_MAX_LOST", "x"),
        ("PORT", "x"),
    ],
)
def test_every_command_ends_with_one_line(name: str, value: str) -> None:
    command = [sys.executable, "manage.py", "check"]
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, name: value}, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert name in ended.stderr
    assert "hidden" not in ended.stderr
