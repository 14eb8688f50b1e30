"""`make django-tasks-suite`: Django's own tests of its task backends, fetched by pip and not kept, on this backend and a real worker,
with servers of their own unless DATABASE_URL and REDIS_URL name some.

Left out is only what is about the other backend's own limits or its own store; each with its reason.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import django

from jobs.dev import embedded

ROOT: Final = Path(__file__).resolve().parents[2]
LISTED: Final = "tests.djangotasks.at_once.Listed"
AT_ONCE: Final = "tests.djangotasks.at_once.AtOnce"
LEFT_OUT: Final = {
    "test_cannot_get_result": "the immediate backend keeps no results; ours does",
    "test_cannot_refresh_result": "the same",
    "test_cannot_pass_run_after": "the immediate backend knows no run_after; ours does",
    "test_throws_keyboard_interrupt": "the immediate backend runs the task in the caller",
    "test_doesnt_wait_until_transaction_commit_by_default": "the immediate backend runs inside the caller's transaction",
    "test_refresh_result": "writes into the list of the dummy backend",
    "test_refresh_result_async": "the same",
}
WORKER: Final = """

def setUpModule():
    from celery.contrib.testing.worker import start_worker
    from task_queue_project.celery import app

    global _worker
    _worker = start_worker(app, pool="solo", perform_ping_check=False)
    _worker.__enter__()


def tearDownModule():
    _worker.__exit__(None, None, None)
"""


def fetch(folder: Path) -> Path:
    """Django's `tests/tasks` of the installed version."""
    options = ["-q", "--no-deps", "--no-binary", "django", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, f"django=={django.__version__}"], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (found,) = folder.glob("*/tests/tasks")
    return found


def prepare(source: Path, target: Path) -> None:
    """Their files, with our backend where theirs was named and a worker beside them."""
    target.mkdir(parents=True)
    for path in source.glob("*.py"):
        text = path.read_text("utf-8")
        if path.name == "test_immediate_backend.py":
            text = text.replace("django.tasks.backends.immediate.ImmediateBackend", AT_ONCE)
            text = text.replace("from django.tasks.backends.immediate import ImmediateBackend", _import(AT_ONCE, "ImmediateBackend"))
            text = text.replace("(SimpleTestCase)", "(TransactionTestCase)") + WORKER
        elif path.name == "test_dummy_backend.py":
            text = text.replace("django.tasks.backends.dummy.DummyBackend", LISTED)
            text = text.replace("from django.tasks.backends.dummy import DummyBackend", _import(LISTED, "DummyBackend"))
            text = text.replace("(SimpleTestCase)", "(TransactionTestCase)")
        if path.name in ("test_immediate_backend.py", "test_dummy_backend.py"):
            text = re.sub(rf"def ({'|'.join(LEFT_OUT)})\(", r"def left_out_\1(", text)
        (target / path.name).write_text(re.sub(r"available_apps = \[\]", "", text), "utf-8")


def _import(path: str, name: str) -> str:
    module, _, attribute = path.rpartition(".")
    return f"from {module} import {attribute} as {name}"


def main() -> int:
    """Their runner's exit code."""
    if django.VERSION < (6, 0):
        print("django.tasks is part of Django 6; this is Django", django.__version__)
        return 2
    with tempfile.TemporaryDirectory(prefix="jobs-django-tasks-") as name:
        folder = Path(name)
        prepare(fetch(folder), folder / "run" / "tasks")
        environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.djangotasks.settings", "PYTHONPATH": f"{ROOT}{os.pathsep}{folder / 'run'}"}
        environ |= {"DJANGO_ALLOW_ASYNC_UNSAFE": "1"}  # their coroutines call plain methods, which ours answer from the database
        environ |= {"DATA_DIR": str(folder), **embedded.start(folder, wanted=[each for each in embedded.BOTH if not os.environ.get(each)])}
        command = [sys.executable, "-m", "django", "test", "--noinput", "tasks", *sys.argv[1:]]
        try:
            return subprocess.run(command, cwd=folder / "run", env=environ, check=False).returncode
        finally:
            embedded.stop(folder)


if __name__ == "__main__":
    sys.exit(main())
