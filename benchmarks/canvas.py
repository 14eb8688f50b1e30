"""A chord and a chain on this engine and on stock Celery with results in Redis, one after the other, several times.

python -m benchmarks.canvas [--rounds 3] [--chord 10000] [--chain 1000]
"""

import argparse
import statistics
import subprocess
import sys

from benchmarks import guard

PATIENCE = 300  # seconds for one chord or chain
ASK = """
import sys, time, importlib
tasks = importlib.import_module(sys.argv[1])
kind, size = sys.argv[2], int(sys.argv[3])
from celery import chain, chord
tasks.plus.delay(0).get(timeout=60)
start = time.perf_counter()
if kind == "chord":
    result = chord([tasks.plus.s(number) for number in range(size)], tasks.total.s()).apply_async()
    expected = sum(range(1, size + 1))
else:
    result = chain(tasks.plus.s(0), *[tasks.plus.s()] * (size - 1)).apply_async()
    expected = size
found = result.get(timeout=300)
assert found == expected, (found, expected)
print(time.perf_counter() - start)
"""


def _ask(environ: dict[str, str], module: str, kind: str, size: int) -> float:
    script = f"import django; django.setup()\n{ASK}" if module == "benchmarks.tasks" else ASK
    command = [sys.executable, "-c", script, module, kind, str(size)]
    done = subprocess.run(command, cwd=guard.ROOT, env=environ, capture_output=True, text=True, timeout=PATIENCE + 100)
    if done.returncode:
        raise guard.GuardError(f"{module}, {kind} of {size}:\n{done.stderr[-2000:]}")
    return float(done.stdout)


def main() -> int:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--chord", type=int, default=10_000, help="header tasks (10000)")
    parser.add_argument("--chain", type=int, default=1_000, help="links (1000)")
    options = parser.parse_args()
    systems = {"this engine": ("task_queue_project", "benchmarks.tasks"), "stock Celery": ("benchmarks.stock", "benchmarks.stock")}
    kinds = {"chord": options.chord, "chain": options.chain}
    taken: dict[tuple[str, str], list[float]] = {(kind, name): [] for kind in kinds for name in systems}
    try:
        with guard.scratch("canvas") as folder:
            environ = guard.environment(folder)
            for number in range(options.rounds):
                for name, (app, module) in systems.items():
                    with guard.worker(environ, app, folder / "log"):
                        for kind, size in kinds.items():
                            taken[kind, name].append(_ask(environ, module, kind, size))
                            print(f"round {number + 1}, {name}, {kind} of {size}: {taken[kind, name][-1]:.2f} s", flush=True)
    except guard.GuardError as error:
        print(error, file=sys.stderr)
        return 1
    for kind, size in kinds.items():
        ours, stock = (statistics.median(taken[kind, name]) for name in systems)
        print(f"{kind} of {size}: medians {ours:.2f} and {stock:.2f} s, speed {stock / ours:.2f} of stock Celery's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
