"""How long after each fault the work went on, by kind of fault."""

from collections import defaultdict
from collections.abc import Sequence

from tests.chaos.evidence import Database, Explanations, Ledger
from tests.chaos.faults import Strike
from tests.chaos.run import Record


def times(record: Record, ledger: Ledger, database: Database | None) -> dict[str, list[float]]:
    """Seconds by kind of fault, sorted.

    Of a dead worker: until each of its jobs was due again, and until it ran again (it waits for its turn).
    Of the leader: from the fault until a job accepted after it ran.
    Of a server, a connection or a stopped worker: from the end of the fault until each worker (the one that was hit) ran a job.
    """
    why = Explanations(record)
    found: dict[str, list[float]] = defaultdict(list)
    starts: dict[int, list[float]] = defaultdict(list)  # pid
    for bodies in ledger.bodies.values():
        for body in bodies:
            starts[body.pid].append(body.started)
    for moments in starts.values():
        moments.sort()
    for strike in why.strikes:
        if strike.kind.startswith("leader"):
            found[strike.kind] += _after_leader(strike, ledger)
        elif strike.kind.startswith(("redis", "pg")) or strike.kind in ("lock-cut", "commit-cut", "worker-stop"):
            found[strike.kind] += _after_server(strike, starts, why)
    if database is not None:
        for kind, seconds in _after_kills(why, database).items():
            found[kind] += seconds
    return {kind: sorted(seconds) for kind, seconds in sorted(found.items())}


def _after_leader(strike: Strike, ledger: Ledger) -> list[float]:
    first = min(
        (bodies[0].started for k, bodies in ledger.bodies.items() if bodies and ledger.accepted.get(k, 0.0) > strike.at), default=None
    )
    return [] if first is None else [first - strike.at]


def _after_server(strike: Strike, starts: dict[int, list[float]], why: Explanations) -> list[float]:
    found = []
    for pid, moments in starts.items():
        if (strike.pids and pid not in strike.pids) or moments[0] > strike.at:
            continue
        death = why.deaths.get(pid)
        after = next((moment for moment in moments if moment > strike.until), None)
        if after is not None and (death is None or death.at > strike.until):
            found.append(after - strike.until)
    return found


def _after_kills(why: Explanations, database: Database) -> dict[str, list[float]]:
    """For each job that ran when its worker died: until it ran again. A poison job itself is not waited for."""
    poison = {row.job for row in database.rows.values() if row.kind == "poison"}
    gone: dict[int, tuple[str, float]] = {}  # job: cause and moment of its worker's death
    found: dict[str, list[float]] = defaultdict(list)
    for change in database.changes:
        if change.now == "running" and change.worker is not None:
            if change.job in gone:
                cause, moment = gone.pop(change.job)
                found[cause].append(change.at - moment)
        elif change.was == "running" and change.now == "pending" and change.job not in poison and change.was_worker is not None:
            death = why.deaths.get(database.workers.get(change.was_worker, 0))
            if death is not None and change.at >= why.since(death) and database.attempts.get((change.job, change.was_runs)) == "lost":
                cause, moment = gone[change.job] = (death.cause or "poison", why.since(death))
                found[f"{cause}, due"].append(change.at - moment)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the sorted values lies."""
    return values[min(int(share * len(values)), len(values) - 1)]
