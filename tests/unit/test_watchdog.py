"""The watchdog's last act, in a process of its own."""

import os
import subprocess
import sys

PROGRAM = """
import sys, time
import django
django.setup()
from types import SimpleNamespace
import billiard
from jobs.worker.watchdog import Watchdog

billiard.get_context("fork").Process(target=time.sleep, args=(600,)).start()
Watchdog(SimpleNamespace(worker_id=1, held={}))._end("told to stop", [], [])
"""


def test_it_ends_the_children_of_a_prefork_worker_too_while_postgresql_is_away() -> None:
    """The child holds the output open: were it left alive, `run` would wait for it."""
    environ = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 70
    assert "told to stop; the process ends itself" in done.stderr
    assert "Error" not in done.stderr
