"""Real servers for every run of the tests: embedded, in a folder of their own, on unix sockets; gone when pytest ends, however it ends."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import django
import pytest
from django.conf import settings

from jobs.dev import embedded

ROOT = Path(__file__).resolve().parents[1]
FAST = embedded.Options(
    postgres={"fsync": "off", "full_page_writes": "off", "max_connections": "300", "log_min_messages": "fatal"},
    redis={"appendonly": "no"},
)
_guard = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and name them in the environment, before pytest-django reads the settings.

    With `-n` each of pytest's processes has servers of its own, and the one that only hands out tests has none.
    """
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)  # or they would read the settings before this function has named the servers
        return
    for name in [name for name in os.environ if name.startswith(("JOBS_", "EMAIL_", "DJANGO_", "PG"))]:
        del os.environ[name]  # a developer's own settings do not change what the tests see
    data_dir = Path(tempfile.mkdtemp(prefix="jobs-test-"))
    config.stash[_guard] = _guard_process(data_dir)
    named = {name: os.environ.get(f"TEST_{name}", "") for name in embedded.BOTH}
    started = embedded.start(data_dir, wanted=[name for name in named if not named[name]], options=FAST)
    os.environ.update({**named, **started})
    os.environ.update({"ENV_FILE": "", "DATA_DIR": str(data_dir), "DEBUG": "True", "SECRET_KEY": "only-for-tests-" * 4})
    os.environ["DJANGO_SETTINGS_MODULE"] = "task_queue_project.settings"
    # Playwright keeps an event loop in the main thread, where Django would refuse plain queries, also those that make the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    django.setup()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # each test makes its users: no second for each hash


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the guard stop the servers, and wait for it."""
    guard = config.stash.get(_guard, None)
    if guard is not None and guard.stdin is not None:
        guard.stdin.close()
        guard.wait(timeout=30)


def _guard_process(data_dir: Path) -> subprocess.Popen[bytes]:
    """A child that reads until our end of its pipe closes (also when we are killed), then stops the servers."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.conftest", str(data_dir)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


if __name__ == "__main__":
    sys.stdin.read()
    embedded.stop(Path(sys.argv[1]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
