"""A type checker finds the types of the wheel, as in a project that installed it."""

import subprocess
import sys
from pathlib import Path

from tests.adoption.test_adoption import site  # noqa: F401 - a fixture

CONSUMER = """\
from datetime import datetime, timedelta
from jobs import Celery, JobTask, PermanentError, enqueue, enqueue_many
from jobs import enqueu
from jobs.control import cancel
from jobs.integrations.coroutines import run
job = enqueue("shop.ship", args=[1], kwargs={"a": 1}, name="n", priority=9, max_retries=None, run_at=datetime.now(), unique_key="k")
reveal_type(job)
reveal_type(enqueue_many("shop.ship", [((1,), {}), ([2], {"a": 1})], names=["a", "b"], priorities=[1, 2], delay=1.5, timeout=None))
reveal_type(cancel([1], "me").done)
enqueue("shop.ship", priorty=9)
enqueue("shop.ship", priority="high")
enqueue("shop.ship", delay=timedelta(1))
enqueue_many("shop.ship", [((), {})], unique_key="k")
cancel({1}, "me")
cancel(iter([1]), "me")
cancel("12", "me")
async def counted(first: int) -> int:
    return first
reveal_type(run(counted, 1))
run(counted, "one")
"""
WANTED = {
    3: 'error: Module "jobs" has no attribute "enqueu"',
    7: 'note: Revealed type is "jobs.models.job.Job"',
    8: 'note: Revealed type is "list[int]"',
    9: 'note: Revealed type is "list[int]"',
    10: 'error: Unexpected keyword argument "priorty"',
    11: 'error: Argument "priority" to "enqueue" has incompatible type "str"',
    12: 'error: Argument "delay" to "enqueue" has incompatible type "timedelta"',
    13: 'error: Unexpected keyword argument "unique_key"',
    16: 'error: Argument 1 to "cancel" has incompatible type "str"; expected "Iterable[int]"',
    19: 'note: Revealed type is "int"',
    20: 'error: Argument 2 to "run" has incompatible type "str"; expected "int"',
}


def test_a_consumer_s_mistakes_are_found(site: Path, tmp_path: Path) -> None:  # noqa: F811
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=60)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (packages / "jobs").symlink_to(site / "jobs")
    (tmp_path / "consumer.py").write_text(CONSUMER)
    options = ["--python-executable", str(tmp_path / "venv/bin/python"), "--config-file=", "--cache-dir=/dev/null", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, "consumer.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False).stdout.splitlines()
    found = {int(line.split(":")[1]): line.split(": ", 1)[1] for line in said if "error: " in line or "Revealed" in line}
    assert found.keys() == WANTED.keys(), said
    assert [number for number, words in WANTED.items() if not found[number].startswith(words)] == [], said
