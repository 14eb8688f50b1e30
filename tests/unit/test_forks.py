"""Forks of a gevent worker: from the greenlet of a job, and of the leader's process from the greenlet that tends it."""

import subprocess
import sys

import pytest

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import os, subprocess, sys, gevent
from jobs.worker import forks

forks.stay_apart()

def popen():
    print(subprocess.run([sys.executable, "-c", "print('ran')"], capture_output=True, text=True).stdout.strip())

def fork():
    child = os.fork()
    if not child:
        gevent.spawn(gevent.sleep, 0.01).join()
        os.write(1, b"ran\\n")
        os._exit(0)
    os.waitpid(child, 0)

gevent.spawn({how}).join()
"""


@pytest.mark.parametrize("how", ["popen", "fork"])
def test_a_fork_from_a_greenlet_has_a_loop_of_its_own(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(how=how)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


KEPT = """
from gevent import monkey; monkey.patch_all()
import os, django, gevent
django.setup()
from types import SimpleNamespace
from django.db import connections
from jobs.worker import forks, green_waits
from jobs.worker.task_connections import keep_connections

green_waits.patch()
keep_connections(SimpleNamespace(_fixups=[]), 8)
forks.stay_apart()

def session():
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

def job():
    before = session()
    connections.close_all()
    child = os.fork()
    if not child:
        os.write(1, f"child: {session() == before}\\n".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, f"worker: {session() == before}\\n".encode())

gevent.spawn(job).join()
"""


def test_a_fork_has_none_of_the_sessions_that_are_kept_for_the_next_task() -> None:
    """Two processes in one session read each other's answers; the job has closed its own, as any code does before it forks."""
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("child: False\nworker: True\n", "")
