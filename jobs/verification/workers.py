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
from jobs.store import stats

SLOTS: Final = 4
START_TIMEOUT: Final = 60.0  # seconds


class NoWorker(Exception):
    """No worker runs, and none could be started; the message ends with the last lines of its log."""


@contextmanager
def some_worker(say: Callable[[str], None], slots: int = SLOTS) -> Iterator[None]:
    """Have a worker and a leader while the block runs: those that are there, or a worker started for it. Raises NoWorker."""
    if stats.live_workers():
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
    while not (stats.live_workers() and stats.leader_lives()):
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
