"""The live workers, and one of our own while none runs."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.conf import configuration
from jobs.models import Worker
from jobs.store import stats
from jobs.store.locks import WORKER_CLASS

SLOTS: Final = 4
START_TIMEOUT: Final = 60.0  # seconds
_LIVE = """
SELECT w.* FROM jobs_worker w JOIN pg_locks l
    ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = %s AND l.objid::bigint = w.id
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY w.id
"""


class NoWorker(Exception):
    """No worker runs, and none could be started; the message ends with the last lines of its log."""


def live_workers() -> list[Worker]:
    """The workers whose process holds its lock; the children of a prefork worker have rows of their own."""
    return list(Worker.objects.raw(_LIVE, [WORKER_CLASS]))


@contextmanager
def some_worker(say: Callable[[str], None], slots: int = SLOTS) -> Iterator[None]:
    """Have a worker and a leader while the block runs: those that are there, or a worker started for it. Raises NoWorker."""
    if live_workers():
        yield
        return
    say(_("No worker runs: one is started for this test."))
    with tempfile.TemporaryDirectory(prefix="jobs-worker-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "worker.log"
        with log.open("wb") as out:
            process = subprocess.Popen(_command(slots), cwd=settings.BASE_DIR, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(process, log)
            yield
        finally:
            _stop(process)
            say(_("The worker was stopped."))


def _command(slots: int) -> list[str]:
    project = str(settings.SETTINGS_MODULE).partition(".")[0]
    options = ["--pool=gevent", f"--concurrency={slots}", "--prefetch-multiplier=1", "--loglevel=INFO"]
    return [sys.executable, "-m", "celery", "-A", project, "worker", *options, f"--hostname=test-{time.time_ns()}@%h"]


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not (live_workers() and stats.leader_lives()):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text("utf-8", "replace").splitlines()[-5:]
            raise NoWorker(_("The worker did not start: %(log)s") % {"log": " | ".join(lines)})
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(configuration().shutdown_grace + 10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
