"""The servers of one measure, its workers, and what PostgreSQL recorded of its jobs."""

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg2
import redis

from benchmarks import guard

PATIENCE: Final = 600  # seconds for one drain
SESSIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s"


class Bench:
    """The servers of one measure and a session of its own on each."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, environ
        self.session = psycopg2.connect(environ["DATABASE_URL"])
        self.session.autocommit = True
        self.cursor = self.session.cursor()
        self.redis = redis.Redis.from_url(environ["REDIS_URL"])

    def ask(self, sql: str, *values: Any) -> Any:
        """The first column of the first row."""
        self.cursor.execute(sql, values)
        return self.cursor.fetchall()[0][0]

    def empty(self) -> None:
        """No jobs, no messages, nothing left to write."""
        self.redis.flushall()
        self.cursor.execute("TRUNCATE jobs_job CASCADE")
        self.cursor.execute("CHECKPOINT")

    def fill(self, count: int, task: str = "guard.noop", argument: float = 0, *, mixed: bool = False) -> int:
        """Insert jobs in one statement, `mixed` with priorities 0 to 9; the least of their numbers."""
        priority = "(random() * 9)::int" if mixed else "5"
        sql = f"INSERT INTO jobs_job (task, args, priority) SELECT %s, json_build_array(%s::float8), {priority} FROM generate_series(1, %s)"
        first = self.ask("SELECT coalesce(max(id), 0) + 1 FROM jobs_job")
        self.cursor.execute(sql, (task, argument, count))
        return int(first)

    def until_ended(self, first: int, count: int) -> None:
        """Wait for as many ended jobs from this number on."""
        deadline = time.monotonic() + PATIENCE
        while self.ask("SELECT count(*) FROM jobs_job WHERE id >= %s AND finished_at IS NOT NULL", first) < count:
            if time.monotonic() > deadline:
                raise guard.GuardError(f"{count} jobs did not end in {PATIENCE} s")
            time.sleep(0.2)

    def until_alone(self) -> None:
        """Wait until this session is the only one of the database."""
        deadline = time.monotonic() + PATIENCE
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while self.ask(others):
            if time.monotonic() > deadline:
                raise guard.GuardError("sessions of the worker did not end")
            time.sleep(0.05)

    def rate(self, first: int) -> float:
        """Jobs per second, from the first start to the last end."""
        return float(
            self.ask("SELECT count(*) / extract(epoch FROM max(finished_at) - min(started_at)) FROM jobs_job WHERE id >= %s", first)
        )

    def drained(self, count: int, **options: Any) -> float:
        """Fill, wait for the running worker, jobs per second."""
        first = self.fill(count, **options)
        self.until_ended(first, count)
        return self.rate(first)

    @contextlib.contextmanager
    def workers(self, number: int, pool: str = "gevent") -> Iterator[list[psutil.Process]]:
        """So many workers that have run some jobs, each with its leader or standby, and their processes."""
        with contextlib.ExitStack() as stack:
            found = [
                stack.enter_context(guard.worker(self.environ, "task_queue_project", self.folder / f"worker{place}.log", pool))
                for place in range(number)
            ]
            deadline = time.monotonic() + 60
            while min(self.ask(SESSIONS, f"{name}%") for name in ("jobs-worker-life", "jobs leader")) < number:
                if any(process.poll() is not None for process in found) or time.monotonic() > deadline:
                    raise guard.GuardError(
                        "a worker did not start:\n" + (self.folder / "worker0.log").read_text("utf-8", "replace")[-2000:]
                    )
                time.sleep(0.2)
            self.drained(500 * number)
            yield [psutil.Process(process.pid) for process in found]

    def spent(self, workers: Sequence[psutil.Process]) -> dict[str, float]:
        """Seconds of processor time so far, by part; of sessions of PostgreSQL that ended too."""
        postmaster = psutil.Process(self.ask("SELECT pg_backend_pid()")).parent()
        server = psutil.Process(self.redis.info("server")["process_id"])
        if postmaster is None:
            raise guard.GuardError("PostgreSQL's first process was not found")
        return {
            "workers and leaders": sum(map(_seconds, workers)), "PostgreSQL": _seconds(postmaster), "Redis": _seconds(server),
        }  # fmt: skip


def prefork_rate(bench: Bench, app: str, jobs: int) -> float:
    """Jobs a second of a prefork worker that is started for what waits, by the ends that the bodies write down."""
    ends = Path(bench.environ["GUARD_RESULT"]).with_suffix(".ends")
    ends.write_text("")
    with guard.worker(bench.environ, app, bench.folder / "prefork.log", "prefork"):
        deadline = time.monotonic() + PATIENCE
        while len(moments := ends.read_text().splitlines()) < jobs:
            if time.monotonic() > deadline:
                raise guard.GuardError(f"{app} did not drain its jobs")
            time.sleep(0.1)
    times = sorted(map(float, moments))
    return (jobs - 1) / (times[-1] - times[0])


def _seconds(root: psutil.Process) -> float:
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + (times.children_user + times.children_system if process == root else 0)
    return total


def show(name: str, values: Sequence[float], digits: int = 0) -> float:
    """Print the median with the least and the most; the median."""
    median = statistics.median(values)
    print(f"{name}: {median:,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})", flush=True)
    return median


def measured(name: str, measure: Callable[[Bench], None]) -> int:
    """Make the measure on servers of its own; the exit code, 1 when it could not be made."""
    try:
        with guard.scratch(name) as folder:
            measure(Bench(folder, guard.environment(folder)))
    except guard.GuardError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
