"""What this machine leaves to any engine that commits: the least that a target needs, without a queue around it.

    python -m benchmarks.bounds --part flow|pickup|prefork|bulk|memory [--rounds 3] [--jobs 2000]

flow: bodies that sleep 20 ms in four greenlets, alone, each with one UPDATE committed after it, and each with a pop from Redis before
that. pickup: a lone call that is pushed to Redis and popped, and one that is inserted, committed, told to a listener, pushed, popped and
claimed. prefork: bodies of 5 ms of processor time on stock Celery, alone, and each with one UPDATE committed. bulk: a COPY of the same
texts into a table with a primary key alone, one into a table with the columns, checks and indexes of jobs, and enqueue_many. memory: a
process that has loaded Django and the project.
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
LINE: Final = """
import os, socket, redis
client = redis.Redis.from_url(os.environ["REDIS_URL"])
at = client.connection_pool.connection_kwargs
def line():
    made = socket.socket(socket.AF_UNIX if "path" in at else socket.AF_INET)
    made.connect(at["path"] if "path" in at else (at["host"], at["port"]))
    return made
def more(own):
    got = own.recv(4096)
    if not got:
        raise EOFError("Redis is gone")
    return got
"""
FLOW: Final = (
    """
from gevent import monkey; monkey.patch_all()
from psycogreen.gevent import patch_psycopg; patch_psycopg()
import sys, time
import gevent, psycopg2
from gevent.event import Event
"""
    + LINE
    + """
left, seconds, how, ready, go = iter(range(int(sys.argv[1]))), float(sys.argv[2]), sys.argv[3], [], Event()
commits, pops = how != "alone", how == "pop"
if pops:
    client.rpush("bound", *["x" * 800] * int(sys.argv[1]))
def pop(own):
    own.sendall(b"RPOP bound\\r\\n")
    got = b""
    while len(got) < 800:
        got += more(own)
def slot(row):
    own = line()
    session = psycopg2.connect(os.environ["DATABASE_URL"])
    session.autocommit = True
    cursor = session.cursor()
    cursor.execute("PREPARE change AS UPDATE bound SET n = n + 1 WHERE id = $1")
    ready.append(row)
    go.wait()
    for _ in left:
        gevent.sleep(seconds)
        if pops:
            pop(own)
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
)
PICKUP: Final = (
    LINE
    + """
import atexit, contextlib, select, signal, sys, time
import psycopg2
count, durable = int(sys.argv[1]), sys.argv[2] == "durable"
def session():
    made = psycopg2.connect(os.environ["DATABASE_URL"])
    made.autocommit = True
    return made, made.cursor()
def ask(line, *words):
    words = [word.encode() for word in words]
    line.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in words))
    return more(line)
def push(line, begun):
    ask(line, "LPUSH", "bound", repr(begun) + " " + "x" * 800)
def leader():
    own, (made, cursor) = line(), session()
    cursor.execute("LISTEN bound")
    client.set("bound-hears", 1)
    while select.select([made], [], []):
        made.poll()
        for note in made.notifies:
            push(own, note.payload)
        made.notifies.clear()
def worker():
    own, found = line(), []
    if durable:
        _, cursor = session()
        cursor.execute("PREPARE change AS UPDATE bound SET n = n + 1 WHERE id = 1")
    client.set("bound-works", 1)
    while len(found) < count:
        got = ask(own, "BRPOP", "bound", "0")
        while len(got) < 800:
            got += more(own)
        begun = float(got.split(b" ")[0].split(b"\\r\\n")[-1].strip(b"'"))
        if durable:
            cursor.execute("EXECUTE change")
        found.append((time.monotonic() - begun) * 1000)
    found.sort()
    print(found[count // 2], found[count * 99 // 100], flush=True)
client.delete("bound", "bound-hears", "bound-works")
children = []
for part in [worker, leader][: 1 + durable]:
    child = os.fork()
    if child == 0:
        part()
        os._exit(0)
    children.append(child)
def end():
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
atexit.register(end)
while client.exists("bound-hears", "bound-works") < len(children):
    if any(os.waitpid(child, os.WNOHANG)[0] for child in children):
        sys.exit("a part of it has ended")
    time.sleep(0.01)
own, (_, cursor) = line(), session()
insert = "INSERT INTO bound (args) VALUES ($1) RETURNING args"
cursor.execute(f"PREPARE put (text) AS WITH made AS ({insert}) SELECT pg_notify('bound', args) FROM made")
for _ in range(count):
    time.sleep(0.05)
    begun = time.monotonic()
    if durable:
        cursor.execute("EXECUTE put (%s)", (repr(begun),))
    else:
        push(own, begun)
os.waitpid(children.pop(0), 0)
"""
)
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


def _told(bench: Bench, program: str, *values: Any, number: int = -1) -> float:
    """That number of what a program prints. Raises GuardError."""
    command = [sys.executable, "-c", program, *map(str, values)]
    done = subprocess.run(command, cwd=guard.ROOT, env=bench.environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise guard.GuardError(done.stderr[-2000:])
    return float(done.stdout.split()[number])


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


def pickup(bench: Bench, rounds: int, jobs: int) -> None:
    """Milliseconds from a call to the body, lone calls 50 ms apart, a fifth as many as `jobs`."""
    paths = {"Redis alone": "redis", "commit, notify, push, pop, commit": "durable"}
    for number, name in enumerate(("p50", "p99")):
        ways = {f"{path}, {name} ms": partial(_told, bench, PICKUP, jobs // 5, how, number=number) for path, how in paths.items()}
        _in_turns(rounds, ways, 2)


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
    parts = {"flow": flow, "prefork": prefork, "bulk": bulk, "memory": memory, "pickup": pickup}
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
