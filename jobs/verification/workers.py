"""The live workers, and one of our own while none runs."""

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, NoReturn

from django.conf import settings
from django.utils.translation import gettext as _

from jobs import registry
from jobs.conf import configuration
from jobs.store import stats

SLOTS: Final = 4
START_TIMEOUT: Final = 60.0  # seconds


class NoWorker(Exception):
    """No worker runs, and none could be started; the message ends with the last lines of its log."""


@contextmanager
def some_worker(say: Callable[[str], None], task: str) -> Iterator[None]:
    """Have a worker for jobs of this task and a leader while the block runs: those that are there, or a worker started for it.

    Raises NoWorker.
    """
    queue = _queue_of(task)
    if stats.is_served(queue):
        yield
        return
    if stats.live_workers():
        say(_("No worker serves the queue “%(queue)s”: starting one for this test.") % {"queue": queue})
    else:
        say(_("No worker is up: starting one for this test."))
    with tempfile.TemporaryFile() as log, _signals_end_the_block():
        process = subprocess.Popen(_command(), cwd=settings.BASE_DIR, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(process, log, queue)
            yield
        finally:
            _stop(process)
            say(_("The worker was stopped."))


@contextmanager
def _signals_end_the_block() -> Iterator[None]:
    """SIGTERM and a closed terminal end it as Ctrl-C does: what it has to stop is stopped first."""
    is_heard = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if is_heard and hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]  # none that is ignored (nohup) or somebody else's
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: Any) -> NoReturn:
    sys.exit(128 + number)  # as shells give it


def _command() -> list[str]:
    project = str(settings.SETTINGS_MODULE).partition(".")[0]
    options = ["--pool=gevent", f"--concurrency={SLOTS}", "--prefetch-multiplier=1", "--loglevel=INFO"]
    return [sys.executable, "-m", "jobs.verification.attended", "-A", project, "worker", *options, f"--hostname=test-{time.time_ns()}@%h"]


def _queue_of(task: str) -> str:
    try:
        return registry.way(registry.get(task), (), {}).queue
    except registry.WrongOption:  # its job will be refused with the reason
        return registry.way(None, (), {}).queue


def _wait_until_ready(process: subprocess.Popen[bytes], log: IO[bytes], queue: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not (stats.is_served(queue) and stats.leader_lives()):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()[-5:]
            raise NoWorker(_("The worker did not start: %(log)s") % {"log": " | ".join(lines)})
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(configuration().shutdown_grace + 10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
