"""With one rule switched off, a run of the same kind is red, and for that reason."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path: Path, faults: str, broken: str = "") -> tuple[int, dict[str, int]]:
    """A short run, with so much to do that something always waits in Redis; its exit code and the number of findings by rule."""
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.chaos", "--seed", "11", "--minutes", "0.3", "--rate", "200", "--workers", "1", "--drain", "30",
               "--only", faults, "--break", broken, "--json", str(figures)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert figures.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode, {rule: count for rule, count in json.loads(figures.read_text())["findings"].items() if count}


@pytest.mark.parametrize(
    ("broken", "faults", "rule"),
    [
        ("rescue", "group-kill", "lost"),
        ("claim", "redis-duplicate", "doubled"),
        ("resync", "redis-flush", "lost"),
        ("delay", "producer-kill", "lost"),
    ],
)
def test_a_broken_rule_turns_the_verdict_red(tmp_path: Path, broken: str, faults: str, rule: str) -> None:
    code, findings = run(tmp_path, faults, broken)
    assert code == 1
    assert rule in findings


def test_the_same_faults_leave_the_verdict_green(tmp_path: Path) -> None:
    assert run(tmp_path, "group-kill,redis-duplicate,redis-flush,producer-kill") == (0, {})
