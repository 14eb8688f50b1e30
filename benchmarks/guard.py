"""Drain the same no-op jobs on this engine and on stock Celery with gevent, one after the other, several times.

The ratio of the medians must not fall below a wide limit: machines are noisy, and what it watches for is a mistake that
halves the speed. Figures to quote come from a quiet machine (benchmarks/RESULTS.md).

    python -m benchmarks.guard [--rounds 3] [--jobs 3000] [--limit 1.2]
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobs.dev import embedded

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds for one drain
FILL_OURS = """
import django; django.setup()
from django.db import connection
from jobs import enqueue_many
import sys
connection.cursor().execute("TRUNCATE jobs_job CASCADE")
enqueue_many("guard.noop", [((int(sys.argv[1]),), {})] * int(sys.argv[1]))
connection.cursor().execute("VACUUM ANALYZE jobs_job")
"""
FILL_STOCK = """
import sys
from benchmarks.stock import noop
for _ in range(int(sys.argv[1])):
    noop.delay(int(sys.argv[1]))
"""


class GuardError(Exception):
    """The comparison could not be made."""


def run(environ: dict[str, str], *command: str) -> None:
    """Run Python with these arguments. Raises GuardError."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise GuardError(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stderr[-2000:]}")


@contextmanager
def worker(environ: dict[str, str], app: str, log: Path, pool: str = "gevent") -> Iterator[subprocess.Popen[bytes]]:
    """A worker of four slots, ended when the block ends."""
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "-P", pool, "-c", "4", "-l", "WARNING", "--prefetch-multiplier=1"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _drain(environ: dict[str, str], app: str) -> float:
    """Start a worker on a filled queue; jobs per second between the first body and the last."""
    result = Path(environ["GUARD_RESULT"])
    result.unlink(missing_ok=True)
    log = result.with_suffix(".log")
    with worker(environ, app, log) as process:
        deadline = time.monotonic() + PATIENCE
        while not result.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise GuardError(f"{app} did not drain its jobs:\n{log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.05)
    measured = json.loads(result.read_text("utf-8"))
    return float(measured["jobs"] / measured["seconds"])


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for a benchmark; the servers in it are stopped and it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"jobs-{name}-"))
    folder.chmod(0o711)  # PostgreSQL runs under another user where root starts it
    try:
        yield folder
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    """The environment of both systems; the servers are embedded and as durable as in use."""
    environ = os.environ | embedded.start(folder) | {
        "DJANGO_SETTINGS_MODULE": "task_queue_project.settings", "ENV_FILE": "", "DATA_DIR": str(folder), "DEBUG": "False",
        "SECRET_KEY": "only-for-the-comparison-" * 2, "EXTRA_INSTALLED_APPS": "benchmarks", "GUARD_RESULT": str(folder / "result.json"),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    run(environ, "manage.py", "migrate", "-v0")
    environ["GUARD_BROKER"] = _broker(environ)
    environ["GUARD_BACKEND"] = environ["GUARD_BROKER"].replace("virtual_host=0", "virtual_host=1")
    return environ


def compare(folder: Path, rounds: int, jobs: int) -> dict[str, list[float]]:
    """Jobs per second of each round, by system."""
    environ = environment(folder)

    def measure(fill: str, app: str) -> float:
        run(environ, "-c", fill, str(jobs))
        return _drain(environ, app)

    systems: dict[str, Callable[[], float]] = {
        "this engine": lambda: measure(FILL_OURS, "task_queue_project"),
        "stock Celery": lambda: measure(FILL_STOCK, "benchmarks.stock"),
    }
    found: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        for name, once in systems.items():
            found[name].append(once())
            print(f"round {number + 1}, {name}: {found[name][-1]:,.0f} jobs/s", flush=True)
    return found


def _broker(environ: dict[str, str]) -> str:
    show = "import django; django.setup(); from django.conf import settings; print(settings.CELERY_BROKER_URL)"
    return subprocess.run([sys.executable, "-c", show], cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Exit code 0 when the limit is kept, 1 when it is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--jobs", type=int, default=3000, help="no-op jobs in a round (3000)")
    parser.add_argument("--limit", type=float, default=1.2, help="the lowest ratio of the medians that passes (1.2)")
    options = parser.parse_args()
    if options.rounds < 1 or options.jobs < 2:
        parser.error("--rounds must be at least 1 and --jobs at least 2")
    try:
        with scratch("guard") as folder:
            found = compare(folder, options.rounds, options.jobs)
    except GuardError as error:
        print(error, file=sys.stderr)
        return 1
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    ratio = medians["this engine"] / medians["stock Celery"]
    print(f"medians: {medians['this engine']:,.0f} and {medians['stock Celery']:,.0f} jobs/s, ratio {ratio:.2f} (limit {options.limit})")
    return 0 if ratio >= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
