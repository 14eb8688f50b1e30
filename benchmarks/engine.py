"""What the engine does under conditions that a plain drain does not show, on embedded servers of its own.

    python -m benchmarks.engine --measure snapshot|backlog|workers|producers|inserts|prefork|memory|idle|wal
        [--rounds 3] [--jobs N] [--seconds S]

Rates are those that PostgreSQL recorded (first start to last end) unless a measure says otherwise; RESULTS.md has figures.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

import psycopg2

from benchmarks import guard
from benchmarks.bench import PATIENCE, Bench, measured, prefork_rate, show
from benchmarks.inserts import inserts, producers
from jobs.verification import rules

SETTLE: Final = 10.0  # seconds after the start of a worker, before anything at rest is measured
BODY: Final = 0.005  # seconds of processor time of a prefork job
BUSY_STOCK = """
import sys
from benchmarks.stock import busy
for _ in range(int(sys.argv[1])):
    busy.delay(float(sys.argv[2]))
"""


def snapshot(bench: Bench, rounds: int, jobs: int, seconds: float) -> None:
    """Drains in turns on two systems, in one of which a REPEATABLE READ transaction is open from the start; those after `seconds` count."""
    with guard.scratch("snapshot") as folder:
        held = Bench(folder, guard.environment(folder))
        keeper = psycopg2.connect(held.environ["DATABASE_URL"])
        keeper.set_session(isolation_level="REPEATABLE READ")
        with bench.workers(1), held.workers(1):
            keeper.cursor().execute("SELECT count(*) FROM auth_user")
            end, churned = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                bench.drained(jobs), held.drained(jobs)
                churned += jobs
            pairs = []
            for place in range(rounds):
                turns = (bench, held) if place % 2 else (held, bench)
                found = {id(system): system.drained(jobs) for system in turns}
                pairs.append((found[id(bench)], found[id(held)]))
        keeper.close()
    print(f"after {churned:,} jobs in each")
    show("without an open transaction, jobs/s", [free for free, _ in pairs])
    show("with one, jobs/s", [slow for _, slow in pairs])
    show("with one, against its neighbour", [slow / free for free, slow in pairs], 2)


def backlog(bench: Bench, rounds: int, jobs: int, waiting: Sequence[int]) -> None:
    """The rate of the first jobs ended of so many that wait; Redis' memory meanwhile."""
    base = 0.0
    for count in (jobs, *waiting):
        bench.empty()
        before = bench.redis.info("memory")["used_memory"]
        found, memory = [], []
        with bench.workers(1):
            first = bench.fill(count)
            bench.cursor.execute("ANALYZE jobs_job")
            for place in range(1, rounds + 1):
                if count == jobs and place > 1:
                    first = bench.fill(count)
                bench.until_ended(first, jobs if count == jobs else jobs * place)
                memory.append((bench.redis.info("memory")["used_memory"]) / 1e6)
                if count == jobs:
                    found.append(bench.rate(first))
            if count != jobs:
                bench.cursor.execute(
                    "SELECT finished_at FROM jobs_job WHERE id >= %s AND finished_at IS NOT NULL ORDER BY finished_at LIMIT %s",
                    (first, jobs * rounds),
                )
                ends = [row[0] for row in bench.cursor.fetchall()]
                found = [
                    jobs / (ends[min(start + jobs, len(ends) - 1)] - ends[start]).total_seconds() for start in range(0, len(ends), jobs)
                ]
        median = show(f"{count:,} waiting, jobs/s", found)
        base = base or median
        print(f"  ratio {median / base:.2f}; Redis {max(memory):.2f} MB, {before / 1e6:.2f} MB of them when empty", flush=True)


def _runs(bench: Bench, first: int) -> list[rules.Run]:
    bench.cursor.execute(
        "SELECT id, priority, run_at, greatest(run_at, created_at), started_at, finished_at, worker FROM jobs_job WHERE id >= %s", (first,)
    )
    names = ("id", "priority", "run_at", "due_at", "started_at", "finished_at", "worker")
    return [rules.Run(**dict(zip(names, row, strict=True))) for row in bench.cursor.fetchall()]


def _overtaken(runs: Sequence[rules.Run]) -> float:
    """The most seconds by which a job started before one that outranks it; all were due at once."""
    ranked = sorted(runs, key=lambda run: (-run.priority, run.run_at, run.id))
    latest = accumulate((run.started_at for run in ranked), max)
    return max((before - run.started_at).total_seconds() for before, run in zip(latest, ranked, strict=True))


def workers(bench: Bench, rounds: int, jobs: int) -> None:
    """One, two and four workers: rate, processor time, most at once, and by how long the order was broken (several race to start)."""
    rates: dict[int, list[float]] = {1: [], 2: [], 4: []}
    costs: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(rounds):
        for number in rates:
            bench.empty()
            with bench.workers(number) as processes:
                before = bench.spent(processes)
                first = bench.fill(jobs, mixed=True)
                bench.until_ended(first, jobs)
                after = bench.spent(processes)
                rates[number].append(bench.rate(first))
                costs[number].append(sum(after.values()) - sum(before.values()))
                runs = _runs(bench, first)
                parts = ", ".join(f"{name} {(after[name] - before[name]) / jobs * 1e6:.0f}" for name in after)
                print(
                    f"{number}: {rates[number][-1]:,.0f} jobs/s; microseconds a job: {parts}; at once"
                    f" {sorted(rules.at_once(runs).values())}, overtaken by {_overtaken(runs) * 1000:.1f} ms at most",
                    flush=True,
                )
    one = statistics.median(rates[1])
    for number in rates:
        median = show(f"{number} workers, jobs/s", rates[number])
        cost = statistics.median(costs[number])
        print(
            f"  ratio {median / one:.2f}; {cost / jobs * 1e6:.0f} microseconds of processor time a job,"
            f" {cost / statistics.median(costs[1]):.2f} of one worker's"
        )


def prefork(bench: Bench, rounds: int, jobs: int) -> None:
    """Jobs of 5 ms of processor time under prefork, here and on stock Celery; by the ends that the bodies wrote down."""
    found: dict[str, list[float]] = {"this engine": [], "stock Celery": []}
    for _ in range(rounds):
        for name, app in (("this engine", "task_queue_project"), ("stock Celery", "benchmarks.stock")):
            bench.empty()
            if name == "this engine":
                bench.fill(jobs, "guard.busy", BODY)
            else:
                guard.run(bench.environ, "-c", BUSY_STOCK, str(jobs), str(BODY))
            found[name].append(prefork_rate(bench, app, jobs))
    ours, stock = (show(f"{name}, prefork, {BODY * 1000:.0f} ms, jobs/s", rates) for name, rates in found.items())
    print(f"ratio {ours / stock:.2f}")


def memory(bench: Bench, jobs: int) -> None:
    """RSS of worker and leader while so many jobs are drained."""
    bench.empty()
    step = max(min(jobs // 6, 50_000), 5_000)
    with bench.workers(1) as (process,):
        for done in range(step, jobs + 1, step):
            rate = bench.drained(step)
            sizes = [part.memory_info().rss / 1e6 for part in (process, *process.children())]
            print(
                f"{done:,} jobs: worker {sizes[0]:.1f} MB, leader {', '.join(f'{size:.1f}' for size in sizes[1:])} MB; {rate:,.0f} jobs/s",
                flush=True,
            )
            bench.cursor.execute("TRUNCATE jobs_job CASCADE")


def idle(bench: Bench, seconds: float) -> None:
    """Parts of a core while nothing is to be done."""
    bench.empty()
    with bench.workers(1) as processes:
        time.sleep(SETTLE)
        before, begun = bench.spent(processes), time.perf_counter()
        calls = bench.ask("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        time.sleep(seconds)
        after, taken = bench.spent(processes), time.perf_counter() - begun
        calls = bench.ask("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()") - calls
    parts = {name: (after[name] - before[name]) / taken for name in after}
    print(
        f"idle for {taken:.0f} s: {sum(parts.values()):.2%} of a core: " + ", ".join(f"{name} {part:.2%}" for name, part in parts.items())
    )
    print(f"{calls / taken:.1f} transactions a second")


def wal(bench: Bench, rounds: int, jobs: int) -> None:
    """WAL and transactions of drained jobs, without those of the inserts."""
    sizes, counts, rates = [], [], []
    commits = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    for _ in range(rounds):
        bench.empty()
        first = bench.fill(jobs)
        bench.cursor.execute("CHECKPOINT")
        bench.ask("SELECT pg_stat_force_next_flush()::text")  # this session's own numbers, at its next rest
        place, number = bench.ask("SELECT pg_current_wal_lsn()"), bench.ask(commits)
        with guard.worker(bench.environ, "task_queue_project", bench.folder / "worker0.log"):
            polls = 0
            deadline = time.monotonic() + PATIENCE
            while bench.ask("SELECT count(*) FROM jobs_job WHERE finished_at IS NOT NULL") < jobs:
                polls += 1
                if time.monotonic() > deadline:
                    raise guard.GuardError("the jobs were not drained")
                time.sleep(0.2)
            size = bench.ask("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", place)
        bench.until_alone()  # sessions tell their numbers when they end
        sizes.append(float(size) / jobs)
        counts.append((bench.ask(commits) - number - polls) / jobs)
        rates.append(bench.rate(first))
    show("drain, jobs/s", rates)
    show("WAL a job, bytes, with the start of the worker", sizes)
    show("transactions a job, with the start of the worker", counts, 2)


def main() -> int:
    """Exit code 1 when a measure could not be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--jobs", type=int, default=5000, help="jobs of a round (5000)")
    parser.add_argument("--seconds", type=float, default=60, help="of churn, of rest, or of inserts (60)")
    parser.add_argument("--waiting", type=int, nargs="+", default=[200_000, 2_000_000], help="sizes of a backlog (200000 2000000)")
    measures: dict[str, Callable[[Bench, argparse.Namespace], None]] = {
        "snapshot": lambda bench, asked: snapshot(bench, asked.rounds, asked.jobs, asked.seconds),
        "backlog": lambda bench, asked: backlog(bench, asked.rounds, asked.jobs, asked.waiting),
        "workers": lambda bench, asked: workers(bench, asked.rounds, asked.jobs),
        "producers": lambda bench, asked: producers(bench, asked.rounds, asked.jobs),
        "inserts": lambda bench, asked: inserts(bench, asked.rounds, asked.seconds),
        "prefork": lambda bench, asked: prefork(bench, asked.rounds, asked.jobs),
        "memory": lambda bench, asked: memory(bench, asked.jobs),
        "idle": lambda bench, asked: idle(bench, asked.seconds),
        "wal": lambda bench, asked: wal(bench, asked.rounds, asked.jobs),
    }
    parser.add_argument("--measure", choices=list(measures), required=True)
    options = parser.parse_args()
    if options.rounds < 1 or options.jobs < 100 or options.seconds <= 0:
        parser.error("--rounds from 1, --jobs from 100, --seconds above 0")
    if options.measure == "backlog" and min(options.waiting) <= options.jobs * options.rounds:
        parser.error("--waiting must be more than --jobs in all rounds")
    return measured("engine", lambda bench: measures[options.measure](bench, options))


if __name__ == "__main__":
    sys.exit(main())
