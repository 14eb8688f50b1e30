"""The backend for django.tasks; its cases need settings of their own, so they run in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("cases", "coroutines.Gevent.test_beside_plain_tasks", "coroutines.Gevent.test_one_that_is_cancelled_has_ended"), 20),
        pytest.param(("coroutines",), 14, marks=pytest.mark.slow),
    ],
)
def test_the_backend_for_django_tasks(names: tuple[str, ...], count: int) -> None:
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.djangotasks.settings"}
    strict = ["-W", "error"] if django.VERSION < (6, 0) else []  # later versions deprecate what this one needs
    command = [sys.executable, *strict, "-m", "django", "test", "--noinput", *(f"tests.djangotasks.{name}" for name in names)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Ran {count} tests" in done.stderr
