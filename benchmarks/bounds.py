"""What this machine leaves to any engine that commits: the least that a target needs, without a queue around it.

    python -m benchmarks.bounds --part flow|prefork|bulk|memory [--rounds 3] [--jobs 2000]

flow: bodies that sleep 20 ms in four greenlets, alone, each with one UPDATE committed after it, and each with a pop from Redis before
that. prefork: bodies of 5 ms of processor time on stock Celery, alone, and each with one UPDATE committed. bulk: a COPY of the same texts
into a table with a primary key alone, one into a table with the columns, checks and indexes of jobs, and enqueue_many. memory: a process
that has loaded Django and the project.
"""

import argparse
import io
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from benchmarks import guard
from benchmarks.bench import PATIENCE, Bench, measured, prefork_rate, show
from jobs.domain import task_ids

SLOTS: Final = 4
SLEEP: Final = 0.02  # seconds of a body of flow
BODY: Final = 0.005  # seconds of processor time of a body of prefork
PIECE: Final = 1000  # rows of one COPY, jobs of one enqueue_many
TABLES: Final = """CREATE TABLE bound (id bigserial PRIMARY KEY, n int NOT NULL DEFAULT 0, args text);
CREATE TABLE bound_job (LIKE jobs_job INCLUDING ALL);
INSERT INTO bound (n) SELECT 0 FROM generate_series(1, 8)"""
FLOW: Final = """
from gevent import monkey; monkey.patch_all()
from psycogreen.gevent import patch_psycopg; patch_psycopg()
import os, socket, sys, time
import gevent, psycopg2, redis
from gevent.event import Event
left, seconds, how, ready, go = iter(range(int(sys.argv[1]))), float(sys.argv[2]), sys.argv[3], [], Event()
commits, pops, client = how != "alone", how == "pop", redis.Redis.from_url(os.environ["REDIS_URL"])
at = client.connection_pool.connection_kwargs
if pops:
    client.rpush("bound", *["x" * 800] * int(sys.argv[1]))
def pop(line):
    line.sendall(b"RPOP bound\\r\\n")
    got = b""
    while len(got) < 800:
        got += line.recv(4096)
def slot(row):
    line = socket.create_connection((at["host"], at["port"]))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    session = psycopg2.connect(os.environ["DATABASE_URL"])
    session.autocommit = True
    cursor = session.cursor()
    cursor.execute("PREPARE change AS UPDATE bound SET n = n + 1 WHERE id = $1")
    ready.append(row)
    go.wait()
    for _ in left:
        gevent.sleep(seconds)
        if pops:
            pop(line)
        if commits:
            cursor.execute("EXECUTE change (%s)", (row,))
slots = [gevent.spawn(slot, row + 1) for row in range(int(sys.argv[4]))]
while len(ready) < len(slots):
    gevent.sleep(0.01)
begun = time.perf_counter()
go.set()
gevent.joinall(slots, raise_error=True)
print(time.perf_counter() - begun)
"""
BUSY: Final = """
import sys
from benchmarks import stock
for _ in range(int(sys.argv[1])):
    getattr(stock, sys.argv[3]).delay(float(sys.argv[2]))
"""
BULK: Final = """
import django; django.setup()
import sys, time
from jobs import enqueue_many
piece = int(sys.argv[2])
enqueue_many("guard.noop", [((0,), {})] * piece, queue="nobody-reads-this")
begun = time.perf_counter()
for _ in range(int(sys.argv[1]) // piece):
    enqueue_many("guard.noop", [((0,), {})] * piece, queue="nobody-reads-this")
print(time.perf_counter() - begun)
"""
MEMORY: Final = """
import {}
import psutil
print(psutil.Process().memory_info().rss)
"""


def _told(bench: Bench, program: str, *values: Any) -> float:
    """The number that a program prints. Raises GuardError."""
    command = [sys.executable, "-c", program, *map(str, values)]
    done = subprocess.run(command, cwd=guard.ROOT, env=bench.environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise guard.GuardError(done.stderr[-2000:])
    return float(done.stdout.split()[-1])


def _in_turns(rounds: int, ways: dict[str, Callable[[], float]], digits: int = 0) -> None:
    """Each way once a round, then the medians, and what each of the later ways has of the first in the same round."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, once in ways.items():
            found[name].append(once())
    first, *others = found
    for name, values in found.items():
        show(name, values, digits)
    for name in others:
        pairs = [value / whole for value, whole in zip(found[name], found[first], strict=True)]
        print(f"{name}: {statistics.median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f}) of {first}", flush=True)


def flow(bench: Bench, rounds: int, jobs: int) -> None:
    """Part of the ideal, in which four slots do nothing but sleep."""

    def once(how: str) -> float:
        return jobs * SLEEP / SLOTS / _told(bench, FLOW, jobs, SLEEP, how, SLOTS)

    ways = {"bodies alone": "alone", "bodies and one commit each": "commit", "bodies, a pop from Redis and one commit each": "pop"}
    _in_turns(rounds, {name: partial(once, how) for name, how in ways.items()}, 3)


def prefork(bench: Bench, rounds: int, jobs: int) -> None:
    """Jobs a second on stock Celery under prefork, by the ends that the bodies wrote down."""

    def once(task: str) -> float:
        bench.redis.flushall()
        guard.run(bench.environ, "-c", BUSY, str(jobs), str(BODY), task)
        return prefork_rate(bench, "benchmarks.stock", jobs)

    _in_turns(rounds, {"stock Celery, jobs/s": lambda: once("busy"), "and one commit each, jobs/s": lambda: once("busy_and_commit")})


def bulk(bench: Bench, rounds: int, jobs: int) -> None:
    """Rows a second, in pieces of a thousand that are committed one by one."""

    def copied(table: str, line: Callable[[str], str], columns: str) -> float:
        texts = [io.StringIO("".join(line(id) for id in task_ids.make_many(PIECE))) for _ in range(jobs // PIECE)]
        begun = time.perf_counter()
        for text in texts:
            bench.cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", text)
        return len(texts) * PIECE / (time.perf_counter() - begun)

    def emptied(way: Callable[[], float]) -> Callable[[], float]:
        def once() -> float:
            bench.cursor.execute("TRUNCATE bound_job; TRUNCATE jobs_job CASCADE")
            bench.cursor.execute("CHECKPOINT")
            return way()

        return once

    columns = "task_id, task, args, kwargs"
    ways = {
        "COPY, a key alone, rows/s": lambda: copied("bound", lambda id: f"{id}\n", "args"),
        "COPY, the columns of jobs, rows/s": lambda: copied("bound_job", lambda id: f"{id}\tguard.noop\t[0]\t{{}}\n", columns),
        "enqueue_many, jobs/s": lambda: jobs // PIECE * PIECE / _told(bench, BULK, jobs, PIECE),
    }
    _in_turns(rounds, {name: emptied(way) for name, way in ways.items()})


def memory(bench: Bench, rounds: int, jobs: int) -> None:
    """Megabytes of a process that does nothing but import."""
    ways = {"django": "django", "django.setup() of this project, MB": "django; django.setup()"}
    _in_turns(rounds, {name: _size(bench, text) for name, text in ways.items()}, 1)


def _size(bench: Bench, text: str) -> Callable[[], float]:
    return lambda: _told(bench, MEMORY.format(text)) / 1e6


def main() -> int:
    """Exit code 1 when a part could not be measured."""
    parts = {"flow": flow, "prefork": prefork, "bulk": bulk, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=list(parts), required=True)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--jobs", type=int, default=2000, help="bodies or rows of a round (2000)")
    options = parser.parse_args()
    if options.rounds < 1 or options.jobs < PIECE:
        parser.error(f"--rounds from 1, --jobs from {PIECE}")

    def measure(bench: Bench) -> None:
        bench.cursor.execute(TABLES)
        parts[options.part](bench, options.rounds, options.jobs)

    return measured("bounds", measure)


if __name__ == "__main__":
    sys.exit(main())
