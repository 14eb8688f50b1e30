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
