"""What the verdict is taken from: the ledger's events in order, and the rows and the audit of the database."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.chaos.processes import Death
from tests.chaos.run import Record
from tests.chaos.servers import Postgres


class Change(NamedTuple):
    """One UPDATE of a job's status, as the audit saw it."""

    at: float
    job: int
    was: str
    now: str
    was_runs: int
    runs: int
    was_worker: int | None
    worker: int | None
    result: str | None
    error: str


class Row(NamedTuple):
    """A job as it is at the end."""

    job: int
    k: int
    kind: str
    status: str
    runs: int
    result: Any
    error: str


class Letter(NamedTuple):
    """An entry of the dead letter queue."""

    job: int
    error_class: str
    message: str
    traceback: str
    resolution: str


class Body(NamedTuple):
    """One run of a body. `ended` is None when its process died first."""

    k: int
    run: int
    pid: int
    started: float
    ended: float | None
    how: str


@dataclass(kw_only=True)
class Ledger:
    """The ledger's events by what they say."""

    accepted: dict[int, float] = field(default_factory=dict)  # k: when
    kinds: dict[int, str] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)
    rolled_back: set[int] = field(default_factory=set)
    cancels: dict[int, str] = field(default_factory=dict)  # k: asked, done or refused
    healed: set[int] = field(default_factory=set)
    bodies: dict[int, list[Body]] = field(default_factory=lambda: defaultdict(list))
    most: dict[int, int] = field(default_factory=dict)  # pid: bodies at one time


def sort(events: Iterable[tuple[int, float, str, int, int, int, str]]) -> Ledger:
    """Read the events once."""
    ledger = Ledger()
    open_bodies: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    running: dict[int, int] = defaultdict(int)
    for _, at, what, k, run, pid, note in events:
        match what:
            case "accepted":
                ledger.accepted[k], ledger.kinds[k] = at, note
            case "unknown":
                ledger.unknown.add(k)
            case "rolled back":
                ledger.rolled_back.add(k)
            case "cancel":
                ledger.cancels[k] = note
            case "heal":
                ledger.healed.add(k)
            case "start":
                open_bodies[k, run, pid].append(at)
                running[pid] += 1
                ledger.most[pid] = max(ledger.most.get(pid, 0), running[pid])
            case "end" if open_bodies[k, run, pid]:
                ledger.bodies[k].append(Body(k, run, pid, open_bodies[k, run, pid].pop(0), at, note))
                running[pid] -= 1
    for (k, run, pid), starts in open_bodies.items():
        ledger.bodies[k] += [Body(k, run, pid, started, None, "died") for started in starts]
    for bodies in ledger.bodies.values():
        bodies.sort(key=lambda body: body.started)
    return ledger


@dataclass(kw_only=True)
class Database:
    """The rows of this engine after a run."""

    rows: dict[int, Row]  # by k
    changes: list[Change]  # in the order in which they were made
    attempts: dict[tuple[int, int], str]  # (job, run): outcome
    letters: list[Letter]
    workers: dict[int, int]  # worker: pid
    extra: list[str]  # two rows for one k


def load(postgres: Postgres) -> Database:
    """Read it all."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "SELECT id, (kwargs->>'k')::bigint, kwargs->>'kind', status, runs, result, last_error FROM jobs_job WHERE task LIKE 'chaos.%'"
        )
        rows, extra = {}, []
        for row in map(Row._make, cursor.fetchall()):
            if row.k in rows:
                extra.append(f"k={row.k}: jobs {rows[row.k].job} and {row.job}")
            rows[row.k] = row
        cursor.execute(
            """SELECT extract(epoch FROM at)::float, job, was, now, was_runs, runs, was_worker, worker, result, error
                 FROM chaos_audit ORDER BY seq"""
        )
        changes = list(map(Change._make, cursor.fetchall()))
        cursor.execute("SELECT job_id, run, outcome FROM jobs_attempt ORDER BY id")
        attempts = {(job, run): outcome for job, run, outcome in cursor.fetchall()}
        cursor.execute("SELECT job_id, error_class, message, traceback, resolution FROM jobs_deadletterqueue ORDER BY id")
        letters = list(map(Letter._make, cursor.fetchall()))
        cursor.execute("SELECT id, pid FROM chaos_worker ORDER BY at")
        workers = dict(cursor.fetchall())
    return Database(rows=rows, changes=changes, attempts=attempts, letters=letters, workers=workers, extra=extra)


class Explanations:
    """Which faults can have touched a process or the whole system at a moment."""

    AFTER = 30.0  # seconds in which a fault's traces may come

    def __init__(self, record: Record) -> None:
        self.strikes = [strike for strike in record.strikes if not strike.detail.startswith("not done")]
        self.deaths: dict[int, Death] = record.crew.deaths()
        self.end = record.calm_from + 3600

    def struck(self, at: float, *kinds: str) -> bool:
        """Whether a fault of these kinds was on at this moment, or less than 30 s before."""
        return any(strike.kind in kinds and strike.at <= at <= strike.until + self.AFTER for strike in self.strikes)

    def hit(self, pid: int, at: float, *kinds: str) -> bool:
        """The same, for one process."""
        return any(s.kind in kinds and pid in s.pids and s.at <= at <= s.until + self.AFTER for s in self.strikes)

    def died(self, pid: int, at: float) -> bool:
        """Whether this process was dead at this moment because of a fault (or a poison job)."""
        death = self.deaths.get(pid)
        return death is not None and (death.cause != "" or death.code == 9) and self.since(death) <= at

    def since(self, death: Death) -> float:
        """When it died; the runner sees an end a little after it happened."""
        return min([death.at - 0.5, *(strike.at for strike in self.strikes if death.pid in strike.pids and strike.kind == death.cause)])


def text(result: Any) -> dict[str, Any]:
    """A result as the audit keeps it."""
    value = json.loads(result) if isinstance(result, str) else result
    return value if isinstance(value, dict) else {}
