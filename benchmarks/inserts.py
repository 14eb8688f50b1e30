"""How many jobs a second are accepted when many send at once."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks import guard
from benchmarks.bench import PATIENCE, Bench, show
from jobs.dev import postgres

SLOW_COMMIT_US: Final = 1000  # commit_delay: a disk whose commits take a millisecond
INSERT: Final = "INSERT INTO jobs_job (task, args, queue) VALUES ('guard.noop', '[0]', 'nobody-reads-this');\n"
DELAYS: Final = """
import django; django.setup()
import sys, time
from benchmarks.tasks import noop
noop.delay(0)
print("ready", flush=True)
sys.stdin.readline()
before = time.process_time()
for _ in range(int(sys.argv[1])):
    noop.delay(0)
print(time.process_time() - before, flush=True)
"""


def producers(bench: Bench, rounds: int, jobs: int, number: int = 16) -> None:
    """So many processes that call `.delay()` at once, each call committed; no worker runs. What it costs the callers and PostgreSQL."""
    rates, callers, server = [], [], []
    for _ in range(rounds):
        bench.empty()
        each = max(jobs // number, 1)
        command = [sys.executable, "-c", DELAYS, str(each)]
        with contextlib.ExitStack() as stack:
            started = [
                stack.enter_context(
                    subprocess.Popen(command, cwd=guard.ROOT, env=bench.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                )
                for _ in range(number)
            ]
            for process in started:
                if process.stdout is None or process.stdout.readline() != b"ready\n":
                    raise guard.GuardError("a producer did not start")
            last, before = bench.ask("SELECT max(id) FROM jobs_job"), bench.spent([])["PostgreSQL"]
            for process in started:
                if process.stdin is not None:
                    process.stdin.close()
            spent = [float(process.stdout.readline() or "nan") for process in started if process.stdout is not None]
            server.append((bench.spent([])["PostgreSQL"] - before) / (each * number) * 1e6)
            if sum(process.wait(PATIENCE) != 0 for process in started):
                raise guard.GuardError("a producer failed")
        if bench.ask("SELECT count(*) FROM jobs_job") != (each + 1) * number:
            raise guard.GuardError("not every job is there")
        callers.append(sum(spent) / (each * number) * 1e6)
        rates.append(_accepted(bench, int(last)))
    show(f"{number} producers, jobs/s", rates)
    show("  microseconds of processor time a job, the callers", callers)
    show("  microseconds of processor time a job, PostgreSQL", server)


def _accepted(bench: Bench, last: int) -> float:
    """Jobs a second from the first to the last that were inserted after this number."""
    sql = "SELECT (count(*) - 1) / extract(epoch FROM max(created_at) - min(created_at)) FROM jobs_job WHERE id > %s"
    return float(bench.ask(sql, last))


def inserts(bench: Bench, rounds: int, seconds: float, number: int = 16) -> None:
    """So many sessions of pgbench that insert one row after the other, each committed, beside a worker whose leader sleeps; then the
    same where a commit takes a millisecond at least. Nobody reads their queue, so that nothing but the inserts is measured."""
    script = bench.folder / "insert.sql"
    script.write_text(INSERT)
    for delay in (0, SLOW_COMMIT_US):
        bench.cursor.execute(f"ALTER SYSTEM SET commit_delay = {delay:d}")
        bench.ask("SELECT pg_reload_conf()")
        bench.empty()
        with bench.workers(1):
            rates = [_pgbench(bench, script, number, seconds) for _ in range(rounds)]
        show(f"{number} sessions that insert, commits of {delay / 1000:.0f} ms or more, jobs/s", rates)


def _pgbench(bench: Bench, script: Path, number: int, seconds: float) -> float:
    program = postgres._binaries() / "pgbench"
    last = int(bench.ask("SELECT coalesce(max(id), 0) FROM jobs_job"))
    command = [
        program,
        "-n",
        "-M",
        "prepared",
        "-c",
        number,
        "-j",
        2,
        "-T",
        max(round(seconds), 1),
        "-f",
        script,
        bench.environ["DATABASE_URL"],
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise guard.GuardError(f"pgbench ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return _accepted(bench, last)
