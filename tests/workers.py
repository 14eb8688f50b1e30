"""Real worker processes against the test database."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from jobs.store import broker
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]
CELERY = [sys.executable, "-m", "tests.plain_celery"]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a process that works on the test database."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(parts._replace(path="/" + settings.DATABASES["default"]["NAME"]))
    return os.environ | {"DATABASE_URL": url, "EXTRA_INSTALLED_APPS": "tests.taskapp", "PYTHONPATH": str(ROOT)} | extra


def settings_of(**values: Any) -> dict[str, str]:
    """The environment's part that gives a process these Django settings."""
    return {"DJANGO_SETTINGS_MODULE": "tests.other_settings", "OTHER_SETTINGS": json.dumps(values)}


@contextmanager
def running_worker(log: Path, *options: str, pool: str = "gevent", slots: int = 4, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with its leader child, in a process group of its own, ended when the block ends."""
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    command = [*CELERY, "-A", "task_queue_project", "worker", "-l", "INFO", "-P", pool, "-c", str(slots), *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**extra), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            until(lambda: b" ready." in log.read_bytes() or process.poll() is not None, timeout=90)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                kill_group(process)
                raise
            kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of the worker and its leader child."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all of it has ended
    process.wait(10)
