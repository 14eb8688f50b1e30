"""One run: servers, ledger, workers, producer; the plan is carried out; what is left gets time to end; then the verdict is taken."""

import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import ledger, plan
from tests.chaos.faults import Strike, Striker
from tests.chaos.processes import Crew, Kept, Ledger
from tests.chaos.servers import Postgres, Redis

SLOTS = 4
GRACE = 5.0  # JOBS_SHUTDOWN_GRACE of the workers
STOCK_DRAIN = 180.0  # seconds that stock Celery has for what is left, beyond twice the following
STOCK_QUIET = {"early": 20.0, "late": 80.0}  # seconds without an event after which stock Celery will do nothing more


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is made of. `system`: jobs, early or late (stock Celery); `only`: kinds of faults, empty: all."""

    seed: int
    seconds: float
    workers: int = 3
    rate: float = 340.0
    system: str = "jobs"
    only: tuple[str, ...] = ()
    broken: str = ""
    drain: float = 60.0  # seconds without progress after which what is left counts as lost
    say: Callable[[str], None] = print


@dataclass(kw_only=True)
class Record:
    """All that the verdict looks at besides the database."""

    options: Options
    events: list[tuple[int, float, str, int, int, int, str]]
    strikes: list[Strike]
    crew: Crew
    poisons: list[int]
    errors: list[str]
    calm_from: float
    making: float  # seconds in which jobs were made
    drained: float | None  # seconds until all had ended, None: not all did
    exits: dict[str, int | None] = field(default_factory=dict)  # of workers that were asked to end at the end
    waiting: set[int] = field(default_factory=set)  # of stock Celery: jobs that lie in Redis at the end, slow but not lost
    refused: int = 0  # late outcomes that were refused, by the workers' logs


def environment(folder: Path, options: Options, redis: Redis, postgres: Postgres | None, record: Ledger) -> dict[str, str]:
    """What the workers and the producer see."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "EMAIL_", "DJANGO_", "PG", "CHAOS_"))}
    if postgres is None:  # stock Celery, without Django
        return kept | {"CHAOS_LEDGER": record.address, "CHAOS_BROKER": redis.broker, "CHAOS_STOCK": options.system}
    return kept | {
        "ENV_FILE": "", "DATA_DIR": str(folder), "DEBUG": "True", "SECRET_KEY": "only-for-chaos-" * 4, "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "EXTRA_INSTALLED_APPS": "tests.chaos.apps.ChaosConfig",
        "DJANGO_SETTINGS_MODULE": "task_queue_project.settings", "JOBS_SHUTDOWN_GRACE": str(GRACE), "JOBS_RETRY_BACKOFF": "0.5",
        "JOBS_RETRY_BACKOFF_MAX": "3", "CHAOS_LEDGER": record.address, "CHAOS_BREAK": options.broken,
    }  # fmt: skip


def crew(folder: Path, options: Options, env: dict[str, str]) -> Crew:
    """Start the workers and the producer."""
    app, door = ("task_queue_project", "tests.chaos.door") if options.system == "jobs" else ("tests.chaos.stock", "tests.chaos.stock")
    made = Crew()
    for number in range(options.workers):
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "WARNING", "-P", "gevent", "-c", str(SLOTS),
                   "-n", f"w{number}-{{incarnation}}@chaos"]  # fmt: skip
        made.workers.append(Kept(f"w{number}", command, env, folder / f"w{number}.log", grace=GRACE + 15))
    command = [sys.executable, "-m", "tests.chaos.producer", door, str(options.seed), "{incarnation}", str(options.rate)]
    made.producer = Kept("producer", command, env, folder / "producer.log", grace=15, pipe=True)
    return made


class Run:
    """Holds what must be stopped whatever happens."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="jobs-chaos-"))
        self.folder.chmod(0o711)
        self.redis = Redis(self.folder / "redis")
        self.postgres = Postgres(self.folder / "postgres") if options.system == "jobs" else None
        self.ledger = Ledger(self.folder)
        self.crew = Crew()

    def record(self) -> Record:
        """Carry out the plan; returns when everything has ended or the time for it is over."""
        options = self.options
        env = environment(self.folder, options, self.redis, self.postgres, self.ledger)
        if self.postgres:
            self.postgres.prepare(env)
        self.crew = crew(self.folder, options, env)
        striker = Striker(self.crew, self.redis, self.postgres)
        self._first_jobs()
        begin = time.time()
        for fault in plan.schedule(options.seed, options.seconds, options.only):
            self._until(begin + fault.at)
            options.say(f"{time.time() - begin:6.1f} s  {fault.kind}" + (f" for {fault.seconds:.1f} s" if fault.seconds else ""))
            striker.strike(fault)
        self._finish(striker)
        calm_from = time.time()
        self._until(max(begin + options.seconds, calm_from + plan.CALM))
        assert self.crew.producer is not None
        self.crew.producer.tell("stop")
        making = time.time() - begin
        drained = self._drain(time.time())
        if self.postgres and striker.poisons:
            options.say(f"{len(striker.poisons)} poison jobs were sent")
        exits = {kept.name: kept.retire() for kept in self.crew.all[::-1]}
        waiting = set() if self.postgres else self.redis.waiting()
        self.ledger.stop()
        logs = [worker.log.read_text(errors="replace") for worker in self.crew.workers]
        return Record(
            options=options, events=list(ledger.read(self.ledger.path)), crew=self.crew, poisons=striker.poisons, errors=striker.errors,
            strikes=sorted(striker.strikes, key=lambda strike: strike.at), calm_from=calm_from, making=making, drained=drained, exits=exits,
            waiting=waiting,
            refused=sum(log.count("came late and was refused") for log in logs),
        )  # fmt: skip

    def _first_jobs(self) -> None:
        """Wait until jobs are made and run."""
        end = time.time() + 120
        while not (ledger.last(self.ledger.path, "accepted") and ledger.last(self.ledger.path, "end")):
            if time.time() > end:
                raise RuntimeError(f"nothing runs; see {self.folder}")
            time.sleep(0.1)

    def _until(self, moment: float) -> None:
        while time.time() < moment:
            self.crew.tend()
            time.sleep(0.1)

    def _finish(self, striker: Striker) -> None:
        while any(thread.is_alive() for thread in striker.threads):
            self.crew.tend()
            time.sleep(0.1)
        striker.finish()

    def _drain(self, begin: float) -> float | None:
        """Seconds until nothing is left; None when what is left did not become less for `drain` seconds: a slow machine that still has
        a backlog gets its time. Stock Celery, see `_quiet`.
        """
        if self.postgres is None:
            return self._quiet(begin)
        least, progress = math.inf, begin
        while (now := time.time()) - progress < self.options.drain:
            self.crew.tend()
            with self.postgres.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM jobs_job WHERE finished_at IS NULL OR status = 'failed' AND name = 'heal'")
                left = cursor.fetchone()[0]
            if not left:
                return now - begin
            if left < least:
                least, progress = left, now
            time.sleep(0.25)
        return None

    def _quiet(self, begin: float) -> float | None:
        """Seconds until stock Celery did nothing more; None when it went on for too long."""
        quiet = STOCK_QUIET[self.options.system]
        while (now := time.time()) - begin < STOCK_DRAIN + 2 * quiet:
            self.crew.tend()
            if now - max(ledger.last(self.ledger.path, "start", "end"), begin) > quiet:
                return now - begin - quiet
            time.sleep(0.25)
        return None

    def close(self, *, keep: bool = False) -> None:
        """End every process and remove the folder; `keep`: leave the logs and the ledger."""
        for kept in self.crew.all:
            if not kept.retired:
                kept.grace = 0.1
                kept.retire()
        if self.ledger.process.poll() is None:
            self.ledger.process.kill()
            self.ledger.process.wait()
        self.redis.stop()
        if self.postgres:
            self.postgres.stop()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
