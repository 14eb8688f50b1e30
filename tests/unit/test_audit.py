"""The audit of the requirements: red for a vulnerability, green without a network."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import audit

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
HIT = {"name": "redis", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "own", "skip_reason": "not found"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in audit.FILES:
        (tmp_path / name).write_text("")
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(audit, "ROOT", tmp_path)


def answer(monkeypatch: pytest.MonkeyPatch, *packages: dict[str, Any]) -> None:
    monkeypatch.setattr(audit, "ask", lambda: ({"dependencies": list(packages)}, ""))


def test_a_vulnerability_is_an_error_each_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, CLEAN, HIT)
    assert [audit.main(), audit.main()] == [1, 1]
    assert "redis 1.0: PYSEC-1, fixed in 1.1" in capsys.readouterr().out


def test_a_clean_answer_is_kept_for_the_day(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, CLEAN, UNKNOWN)
    assert audit.main() == 0
    monkeypatch.setattr(audit, "ask", lambda: pytest.fail("asked twice"))
    assert audit.main() == 0
    assert capsys.readouterr().out.count("PyPI knows 1 of 2 packages") == 2


@pytest.mark.parametrize("output", ["", "not JSON"])
def test_without_an_answer_it_is_said_and_no_error(
    output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.CompletedProcess([], 1, stdout=output, stderr="Traceback\nConnectionError: no route")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    assert audit.main() == 0
    assert "not done (ConnectionError: no route)" in capsys.readouterr().out
