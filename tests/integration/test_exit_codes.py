"""Whoever starts workers again (systemd's Restart=on-failure) must see that one gave up by itself."""

import subprocess
import sys

import pytest

from tests.workers import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)
# A worker whose loop meets what its process has no descriptor for, or what Celery calls the end.
PROGRAM = """
import sys; sys.argv = ["celery", "-A", "task_queue_project", "worker", "-P", "gevent", "-l", "INFO"]
import celery; celery.maybe_patch_concurrency()
import errno
from celery.exceptions import WorkerShutdown
from jobs.worker import consumer
def ends(*_, **__):
    raise {error}
consumer.fetch_loop = ends
from celery.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "error", ["OSError(errno.EMFILE, 'Too many open files')", pytest.param("WorkerShutdown(1)", marks=pytest.mark.slow)]
)
def test_one_that_gives_up_has_failed(error: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(error=error)]
    environ = environment(JOBS_LEADER_CHILD="False")
    done = subprocess.run(program, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
