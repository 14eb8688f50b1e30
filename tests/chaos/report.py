"""The figures of a run, for people and as JSON."""

from collections import Counter
from typing import Any

from tests.chaos.evidence import Ledger
from tests.chaos.recovery import percentile
from tests.chaos.run import Record
from tests.chaos.verdict import RULES, Verdict

SHOWN = 12  # findings of one rule


def show(record: Record, ledger: Ledger, times: dict[str, list[float]], verdict: Verdict | None, lost: Counter[str]) -> None:
    """Print it."""
    made, seconds = len(ledger.accepted), record.making
    bodies = sum(map(len, ledger.bodies.values()))
    print(f"\n{made} jobs accepted in {seconds:.0f} s ({made / seconds:.0f}/s), {bodies} bodies run, {len(record.strikes)} faults")
    print(f"{len(ledger.unknown)} requests got no answer, {len(ledger.rolled_back)} were rolled back")
    print(f"all had ended {record.drained:.1f} s after the last" if record.drained is not None else "not all ended")
    for kind, count in Counter(strike.kind for strike in record.strikes if strike.detail.startswith("not done")).items():
        print(f"  not done: {kind} {count} times")
    print("\nrecovery (s)          n    p50    p99    max")
    for kind, seconds in times.items():
        if seconds:
            print(f"  {kind:<17}{len(seconds):>5}{percentile(seconds, 0.5):>7.2f}{percentile(seconds, 0.99):>7.2f}{seconds[-1]:>7.2f}")
    print(f"\nwithout an end in the ledger: {sum(lost.values())} {dict(lost) or ''}")
    if record.waiting:
        print(f"  and {len(record.waiting)} still wait in Redis")
    if verdict is None:
        return
    for name, count in sorted(verdict.notes.items()):
        print(f"  {name}: {count}")
    print()
    for rule, meaning in RULES.items():
        found = verdict.findings[rule]
        print(f"  {rule:<15}{len(found):>6}  {meaning}")
        for text in found[:SHOWN]:
            print(f"                         {text}")
    print("\nGREEN" if verdict.green else "\nRED")


def figures(record: Record, ledger: Ledger, times: dict[str, list[float]], verdict: Verdict | None, lost: Counter[str]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "seed": record.options.seed,
        "system": record.options.system,
        "seconds": record.options.seconds,
        "accepted": len(ledger.accepted),
        "rate": round(len(ledger.accepted) / record.making, 1),
        "bodies": sum(map(len, ledger.bodies.values())),
        "faults": dict(Counter(strike.kind for strike in record.strikes if not strike.detail.startswith("not done"))),
        "drained": record.drained,
        "recovery": {
            kind: {"n": len(s), "p50": round(percentile(s, 0.5), 2), "p99": round(percentile(s, 0.99), 2), "max": round(s[-1], 2)}
            for kind, s in times.items()
            if s
        },
        "lost by ledger": dict(lost),
        "waiting": len(record.waiting),
        "findings": {rule: len(found) for rule, found in verdict.findings.items()} if verdict else None,
        "notes": verdict.notes if verdict else None,
        "green": verdict.green if verdict else not lost,
    }
