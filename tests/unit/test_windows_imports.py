"""What migrate, runserver, the worker and the test commands import, on a system without fcntl, pwd and POSIX signals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Blocks the modules and removes the names that Windows does not have, for the project's own modules; third parties have ways of their own.
BLOCKED = """
import builtins, signal, sys
MISSING = {"fcntl", "pwd", "grp", "resource", "termios", "pty", "tty"}
original = builtins.__import__
def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if importer.partition(".")[0] in ("jobs", "task_queue_project", "__main__") and name.partition(".")[0] in MISSING:
        raise ModuleNotFoundError(f"{importer} imports {name}, which Windows does not have")
    return original(name, globals, locals, fromlist, level)
builtins.__import__ = guarded
class Signal(type(signal)):
    def __getattribute__(self, name):
        if name in POSIX_SIGNALS and sys._getframe(1).f_globals.get("__name__", "").startswith(("jobs", "task_queue_project")):
            raise AttributeError(f"signal.{name} does not exist on Windows")
        return super().__getattribute__(name)
POSIX_SIGNALS = {"SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "SIGSTOP", "SIGTSTP", "setitimer", "alarm"}
signal.__class__ = Signal
"""
PROGRAMS = {
    "the pages": (
        "import django; django.setup(); import task_queue_project.wsgi\n"  #
        "from django.urls import get_resolver; get_resolver().url_patterns"
    ),
    "the worker": (
        "from task_queue_project.celery import app; app.loader.import_default_modules(); app.Worker; "
        "import pkgutil, importlib, jobs.worker, jobs.leader\n"
        "for package in (jobs.worker, jobs.leader):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'): importlib.import_module(module.name)"
    ),
    "all commands": (
        "import django; django.setup(); import pkgutil, importlib, jobs.management.commands as commands\n"
        "for module in pkgutil.iter_modules(commands.__path__): importlib.import_module(commands.__name__ + '.' + module.name)"
    ),
    "all modules but dev": (
        "import django; django.setup(); import pkgutil, importlib, jobs\n"
        "for module in pkgutil.walk_packages(jobs.__path__, 'jobs.'):\n"
        "    if not module.name.startswith('jobs.dev'): importlib.import_module(module.name)"
    ),
}


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the blocks in place."""
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "task_queue_project.settings"}
    code = BLOCKED + program
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_needs_posix_at_import(name: str) -> None:
    ended = run(PROGRAMS[name])
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.parametrize("line", ["import fcntl", "from pwd import getpwnam", "import signal; signal.SIGKILL", "from signal import SIGHUP"])
def test_the_block_works(line: str) -> None:
    pretended = f"exec(compile({line!r}, 'probe', 'exec'), {{'__name__': 'jobs.probe', '__builtins__': builtins}})"
    ended = run(pretended)
    assert ended.returncode != 0
    assert "Windows" in ended.stderr or "SIGHUP" in ended.stderr
