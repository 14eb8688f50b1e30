"""`python -m tests.chaos --seed 1 --minutes 10`: one run and its verdict. Exit code 0: green, 1: red, 2: the run could not be made."""

import argparse
import json
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos import plan


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Break things while jobs run; count what was lost.")
    parser.add_argument("--seed", type=int, help="the same seed makes the same jobs and the same faults (default: a new one, printed)")
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--rate", type=float, default=340.0, help="jobs a second")
    parser.add_argument("--system", choices=("jobs", "early", "late"), default="jobs", help="early, late: stock Celery, acks_late or not")
    parser.add_argument("--only", default="", help="kinds of faults, with commas between; default: all")
    parser.add_argument("--break", dest="broken", default="", choices=("", "rescue", "claim", "resync", "delay"), help="switch a rule off")
    parser.add_argument("--drain", type=float, default=60.0, help="at the end: seconds without progress that end the run")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--keep", action="store_true", help="keep logs and ledger")
    given = parser.parse_args(arguments)
    given.only = tuple(filter(None, given.only.split(",")))
    if unknown := set(given.only) - set(plan.FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(plan.FAULTS)}")
    if given.minutes * 60 < plan.CALM or given.rate <= 0 or given.workers < 1:
        parser.error(f"at least {plan.CALM:.0f} seconds, one worker and a rate above 0")
    return given


def main(arguments: list[str]) -> int:
    """Run, print, and say by the exit code."""
    given = parse(arguments)
    from tests.chaos import evidence, recovery, report, run, verdict

    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}, {given.minutes * 60:.0f} s, {given.workers} workers, {given.rate:.0f} jobs/s, {given.system}", flush=True)
    options = run.Options(
        seed=seed, seconds=given.minutes * 60, workers=given.workers, rate=given.rate, system=given.system, only=given.only,
        broken=given.broken, drain=given.drain, say=lambda text: print(text, flush=True),
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # everything that was started is ended then, too
    made = run.Run(options)
    try:
        record = made.record()
        ledger = evidence.sort(record.events)
        database = evidence.load(made.postgres) if made.postgres else None
    finally:
        made.close(keep=given.keep)
        if given.keep:
            print(f"logs and ledger: {made.folder}")
    times = recovery.times(record, ledger, database)
    judged = verdict.judge(record, ledger, database) if database else None
    lost = Counter(verdict.lost_by_ledger(ledger, record.waiting).values())
    report.show(record, ledger, times, judged, lost)
    if given.json:
        figures: dict[str, Any] = report.figures(record, ledger, times, judged, lost)
        given.json.write_text(json.dumps(figures, indent=1), "utf-8")
    return int(not judged.green) if judged else int(bool(lost))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
