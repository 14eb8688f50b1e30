"""The judgement: what must never happen, counted. Everything but `notes` must be empty."""

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.evidence import Body, Change, Database, Explanations, Ledger, Row, text
from tests.chaos.processes import Kept
from tests.chaos.run import SLOTS, Record

SERVER = ("pg-fast", "pg-immediate", "pg-backend-kill", "pg-readonly")
MAX_LOST = 3  # JOBS_MAX_LOST
FAILURES = ("flaky", "doomed", "heal")
RETRIES = {"doomed": 2, "heal": 1, "permanent": 1}  # failures after which a job has failed for good
REASONS = {
    "doomed": ("ChaosError",),
    "heal": ("ChaosError",),
    "permanent": ("PermanentError",),
    "hang": ("JobTimeout", "TimeLimitExceeded"),
    "poison": ("WorkerLost",),
}
BY_THE_LEADER = ("WorkerLost", "TimeLimitExceeded")  # no body to have a traceback of
RULES = {
    "lost": "accepted jobs that did not end",
    "doubled": "second completions without a rerun between",
    "stale": "outcomes of an old run written over a newer one",
    "over the limit": "more bodies or rows running than slots",
    "unexplained": "runs without a fault, a retry or a person to explain them",
    "unclaimed": "bodies that ran without a committed claim, or twice on one claim",
    "rolled back": "bodies of jobs whose transaction was rolled back",
    "overlapped": "two runs of a job at once, without a fault to explain it",
    "wrong end": "jobs that ended otherwise than they must",
    "letters": "dead letters missing, needless or without their reason",
    "workers": "workers that ended by themselves, badly, or lived and took nothing",
    "runner": "what the run itself could not do",
}


@dataclass(kw_only=True)
class Verdict:
    """Findings by rule; green when there is none."""

    findings: dict[str, list[str]] = field(default_factory=lambda: {rule: [] for rule in RULES})
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, rule: str, text: str) -> None:
        self.findings[rule].append(text)

    def note(self, name: str) -> None:
        self.notes[name] = self.notes.get(name, 0) + 1

    @property
    def green(self) -> bool:
        return not any(self.findings.values())


def judge(record: Record, ledger: Ledger, database: Database) -> Verdict:
    """The verdict on a run of this engine."""
    judge = _Judge(record, ledger, database)
    judge.ends()
    for change in database.changes:
        if row := judge.rows.get(change.job):
            judge.change(change, row)
    judge.slots()
    for k, bodies in ledger.bodies.items():
        judge.bodies(k, bodies)
    judge.letters()
    for worker in record.crew.workers:
        judge.worker(worker)
    for error in [*record.errors, *database.extra]:
        judge.verdict.add("runner", error)
    judge.verdict.notes["late outcomes refused"] = record.refused
    return judge.verdict


class _Judge:
    """One rule a method."""

    def __init__(self, record: Record, ledger: Ledger, database: Database) -> None:
        self.record, self.ledger, self.database = record, ledger, database
        self.rows = {row.job: row for row in database.rows.values()}
        self.claims = {(change.job, change.runs) for change in database.changes if change.now == "running"}
        self.why = Explanations(record)
        self.verdict = Verdict()
        self.add = self.verdict.add

    def ends(self) -> None:
        """Each accepted job ended, as its kind must, and a completion is one whose body came to its end."""
        for k in self.ledger.accepted:
            if k not in self.database.rows:
                self.add("lost", f"k={k} ({self.ledger.kinds[k]}): accepted, and there is no row")
        for k, row in self.database.rows.items():
            where = f"job {row.job} k={k} ({row.kind}) is {row.status} after run {row.runs}"
            last = [body for body in self.ledger.bodies.get(k, ()) if body.run == row.runs]
            if row.status in ("pending", "running"):
                self.add("lost", f"{where}: {row.error[:80]}")
            elif row.status == "completed" and not any(body.how == "ok" for body in last):
                self.add("lost", f"{where}, but the body of that run did not come to its end")
            elif not _right(row.kind, row.status, self.ledger.cancels.get(k)):
                self.add("wrong end", f"{where}: {row.error[:80]}")

    def change(self, change: Change, row: Row) -> None:
        """What the audit saw: no second completion, no outcome of an old run, no way back without a reason."""
        where = f"job {change.job} k={row.k} ({row.kind}) {change.was} -> {change.now}, run {change.was_runs} -> {change.runs}"
        if change.was == "completed":
            if (change.now, change.runs, change.worker) == ("completed", change.was_runs, change.was_worker):
                self.verdict.note("answers lost, completions sent again")
            else:
                self.add("doubled", where)
        if change.now == "completed" and text(change.result) != {"k": row.k, "run": change.runs}:
            self.add("stale", f"{where} with the result {change.result}")
        if change.was != "running" or change.now not in ("pending", "failed"):
            return
        outcome = self.database.attempts.get((change.job, change.was_runs))
        said = re.search(r"k=(\d+) run=(\d+)", change.error)
        if outcome == "failed" and said and (int(said[1]), int(said[2])) != (row.k, change.was_runs):
            self.add("stale", f"{where} with the error {change.error[:60]}")
        if change.now == "pending" or (outcome == "lost" and row.kind != "poison"):
            self._way_back(change, row, outcome, where)

    def _way_back(self, change: Change, row: Row, outcome: str | None, where: str) -> None:
        """A run that ended without an end of its job: through its own failure, or a fault that can have touched it."""
        pid, at = self.database.workers.get(change.was_worker or 0, 0), change.at
        bodies = [body for body in self.ledger.bodies.get(row.k, ()) if body.run == change.was_runs and body.ended is not None]
        how = bodies[0].how if bodies else "without end"
        name = outcome or "released without a record"
        self.verdict.note(f"runs given back: {name}")
        explained = {
            "failed": row.kind in FAILURES and how == "ChaosError",
            "lost": self.why.died(pid, at) or self.why.hit(pid, at, "worker-stop") or self.why.struck(at, "lock-cut"),
            "interrupted": self.why.hit(pid, at, "worker-term"),
            None: self.why.struck(at, *SERVER, "commit-cut", "lock-cut"),
        }
        if not explained.get(outcome, False):
            self.add("unexplained", f"{where}: {name}, body {how}, worker {change.was_worker} (process {pid})")

    def slots(self) -> None:
        """Never more bodies in a process, and never more rows of a worker, than it has slots."""
        for pid, most in self.ledger.most.items():
            if most > SLOTS:
                self.add("over the limit", f"process {pid} ran {most} bodies at once")
        running: dict[int, set[int]] = defaultdict(set)
        for change in self.database.changes:
            if change.was == "running" and change.was_worker is not None:
                running[change.was_worker].discard(change.job)
            if change.now == "running" and change.worker is not None:
                running[change.worker].add(change.job)
                if len(running[change.worker]) > SLOTS:
                    self.add("over the limit", f"worker {change.worker} had {len(running[change.worker])} rows running: {change.job}")

    def bodies(self, k: int, bodies: list[Body]) -> None:
        """Each body had its own committed claim, and two runs of a job did not overlap."""
        if k in self.ledger.rolled_back:
            self.add("rolled back", f"k={k} ran")
        row = self.database.rows.get(k)
        seen: set[int] = set()
        for body in bodies:
            if row is None or (row.job, body.run) not in self.claims or body.run in seen:
                self.add("unclaimed", f"k={k} run {body.run} in process {body.pid}, job {row.job if row else None}")
            seen.add(body.run)
        for before, after in itertools.pairwise(bodies):
            at, end = after.started, self._end(before)
            if at < end and not (self.why.hit(before.pid, at, "worker-stop") or self.why.struck(at, "lock-cut")):
                self.add("overlapped", f"k={k}: run {after.run} began {end - at:.2f} s before run {before.run} ended")

    def _end(self, body: Body) -> float:
        if body.ended is not None:
            return body.ended
        death = self.why.deaths.get(body.pid)
        return self.why.since(death) if death else self.why.end

    def letters(self) -> None:
        """Each failed job has its entry, each entry its reason."""
        opened = {letter.job for letter in self.database.letters if letter.resolution == "open"}
        for row in self.rows.values():
            if row.status == "failed" and row.job not in opened:
                self.add("letters", f"job {row.job} ({row.kind}) failed and has no open entry")
        for letter in self.database.letters:
            if (row := self.rows.get(letter.job)) is None:
                continue
            self.verdict.note("dead letters")
            if letter.resolution == "open" and row.status != "failed":
                self.add("letters", f"job {row.job} ({row.kind}) is {row.status} and has an open entry")
            if letter.error_class == "WorkerLost" and self._lost(row) >= MAX_LOST:
                continue  # three workers were killed under it; that each died is judged in `change`
            if letter.error_class not in REASONS.get(row.kind, ()) or not letter.message:
                self.add("letters", f"job {row.job} ({row.kind}): {letter.error_class}: {letter.message[:80]}")
            elif letter.error_class not in BY_THE_LEADER and "Traceback" not in letter.traceback:
                self.add("letters", f"job {row.job} ({row.kind}): {letter.error_class} without a traceback")

    def _lost(self, row: Row) -> int:
        return sum(outcome == "lost" for (job, _), outcome in self.database.attempts.items() if job == row.job)

    def worker(self, worker: Kept) -> None:
        """It ended only when it was made to, in order when asked, and took jobs as long as it lived."""
        for death in worker.deaths:
            if death.cause == "" and not (death.code == 9 and self.record.poisons):
                self.add("workers", f"{worker.name} (process {death.pid}) ended by itself with {death.code}")
            elif death.cause == "worker-term" and death.code not in (0, -9) and death.pid in self.ledger.most:  # it had begun to work
                self.add("workers", f"{worker.name} (process {death.pid}) ended with {death.code} after SIGTERM")
        calm = self.record.calm_from
        if not any(body.pid == worker.pid and body.started >= calm for bodies in self.ledger.bodies.values() for body in bodies):
            self.add("workers", f"{worker.name} (process {worker.pid}) took nothing in the calm at the end")
        if (code := self.record.exits.get(worker.name)) != 0:
            self.add("workers", f"{worker.name} ended with {code} when asked to (None: had to be killed)")


def _right(kind: str, status: str, cancel: str | None) -> bool:
    if kind in ("doomed", "permanent", "hang", "poison"):
        return status == "failed"
    if kind in ("drop", "stop"):
        return status == "completed" or (status == "cancelled" and cancel is not None)
    return status == "completed"


def lost_by_ledger(ledger: Ledger, waiting: set[int]) -> dict[int, str]:
    """Jobs that were accepted, have no end in the ledger and do not wait (k: kind): the measure for systems that have no rows.

    An end is a body that came to its end, or the last failure it was allowed, or a cancellation that was asked for.
    """
    lost = {}
    for k, kind in ledger.kinds.items():
        hows = [body.how for body in ledger.bodies.get(k, ()) if body.ended is not None]
        failures = sum(how in ("ChaosError", "FinalError", "PermanentError") for how in hows)
        ended = (
            "ok" in hows
            or k in ledger.cancels
            or (kind in RETRIES and failures >= RETRIES[kind])
            or (kind == "hang" and ledger.bodies.get(k))
        )
        if not ended and k not in waiting:
            lost[k] = kind
    return lost
