"""Read-only queries behind the pages and /readyz."""

import contextlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import redis
from celery import current_app
from django.core.cache import cache
from django.db import ProgrammingError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Q
from django.db.models.expressions import RawSQL

from jobs.conf import configuration
from jobs.domain.statuses import HELD, State, Status
from jobs.models import DeadLetterQueue, Job, Worker
from jobs.models.dead_letter import Resolution
from jobs.models.job import HEAVY
from jobs.store import broker, caller, clock, collisions, fresh, locks
from jobs.store.leadership import LIVING
from jobs.store.outages import NEWEST_REFUSAL, READ_ONLY, Refusal, refusal_of

_MIGRATED = "jobs-migrated"
_OPEN = "jobs-open-dead-letters"
_NO_TABLE = "42P01"
_KEPT = 1.0  # seconds
NEWEST: Final = 10_000  # dead letters that are counted
PROBE_TIMEOUT = 2.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """One live worker with the jobs in its slots."""

    worker: Worker
    running: tuple[Job, ...]

    @property
    def slots(self) -> int:
        """How many jobs it runs at once; drained, it takes none, so only what still runs counts."""
        return self.worker.concurrency if self.worker.queues else len(self.running)

    @property
    def free(self) -> range:
        """One number for each free slot."""
        return range(max(self.slots - len(self.running), 0))

    @property
    def closed(self) -> range:
        """One number for each slot that takes no job."""
        return range(max(self.worker.concurrency - self.slots, 0))


def in_state(state: State) -> Q:
    """The condition for jobs that people see in this state."""
    now = clock.reckoned()
    waits = {State.QUEUED: Q(run_at__lte=now), State.SCHEDULED: Q(run_at__gt=now, run_at__lt=HELD), State.REPLACED: Q(run_at__gte=HELD)}
    if state in waits:
        return Q(status=Status.PENDING, attempts=0) & waits[state]
    if state is State.RETRYING:
        return Q(status=Status.PENDING, attempts__gt=0)
    return Q(status=state.value) if state is State.RUNNING else Q(status=state.value, finished_at__isnull=False)  # as their index has it


def open_dead_letters() -> int:
    """How many dead letters wait for a person, a second old at most: one reading serves all viewers. NEWEST + 1 stands for more."""
    newest = fresh.rows(DeadLetterQueue).filter(resolution=Resolution.OPEN).order_by("-id")[: NEWEST + 1]
    return int(cache.get_or_set(_OPEN, newest.count, _KEPT) or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Whether a leader lives, whether Redis refuses its messages, whether PostgreSQL takes no writes; how many dead letters are open, and
    new; NEWEST + 1 stands for more."""

    leader: bool
    refusal: Refusal | None
    read_only: bool
    open: int
    new: int


def vitals(seconds: int) -> Vitals:
    """As it is now; new is what failed within the last `seconds`."""
    with caller.cursor() as cursor:
        cursor.execute(
            f"""SELECT ({LIVING}), ({NEWEST_REFUSAL}), {READ_ONLY}, count(*),
                       count(*) FILTER (WHERE failed_at > clock_timestamp() - make_interval(secs => %s))
                  FROM (SELECT failed_at FROM jobs_deadletterqueue WHERE resolution = 'open' ORDER BY id DESC LIMIT {NEWEST + 1}) part""",
            [seconds],
        )
        leaders, refused, read_only, waiting, new = cursor.fetchone()
    cache.set(_OPEN, waiting, _KEPT)
    return Vitals(leader=bool(leaders), refusal=refusal_of(refused), read_only=read_only, open=waiting, new=new)


def live_workers() -> list[Worker]:
    """The workers that hold their lock, children of a prefork worker apart. A row alone may be left by a process that died."""
    return list(fresh.rows(Worker).filter(id__in=RawSQL(locks.HELD_WORKERS, [])))


def is_served(queue: str) -> bool:
    """Whether a live worker serves the queue."""
    return any(queue in worker.queues for worker in live_workers())


def workers() -> list[WorkerLine]:
    """The live workers, each with its running jobs; the children of a prefork worker count as their parent."""
    rows = live_workers()
    main = {row.id: row.parent or row.id for row in rows}
    held: dict[int, list[Job]] = defaultdict(list)
    for job in fresh.rows(Job).filter(status=Status.RUNNING, worker__isnull=False).defer(*HEAVY).order_by("started_at"):
        if job.worker is not None:
            held[main.get(job.worker, job.worker)].append(job)
    return [WorkerLine(worker=row, running=tuple(held[row.id])) for row in rows if row.parent is None]


def leader_lives() -> bool:
    """Whether some process leads, and works."""
    return leader_and_refusal()[0]


def leader_and_refusal() -> tuple[bool, Refusal | None]:
    """Whether a leader lives, and whether Redis refuses its messages."""
    with caller.cursor() as cursor:
        cursor.execute(f"SELECT ({LIVING}), ({NEWEST_REFUSAL})")
        leaders, refused = cursor.fetchone()
    return bool(leaders), refusal_of(refused)


def redis_lives() -> bool:
    """Whether Redis answers within two seconds, be it with a refusal."""
    try:
        with contextlib.suppress(redis.ConnectionError, OSError):  # the server may have been started again since
            with contextlib.suppress(redis.TimeoutError):
                return bool(broker.kept(PROBE_TIMEOUT).ping())
            return False
        with broker.of(current_app.conf, PROBE_TIMEOUT) as client:
            return bool(client.ping())
    except redis.ResponseError:  # its disk is full, say; what it says is told as its refusal
        return True
    except (redis.RedisError, OSError):
        return False


def migrations_missing() -> bool:
    """Whether the database lacks migrations that this code has; once it has them all, they are not looked at again.

    Raises ProgrammingError where their table may not be read.
    """
    if cache.get(_MIGRATED):
        return False
    try:
        applied = set(MigrationRecorder(connections[configuration().database]).migration_qs.values_list("app", "name"))
    except ProgrammingError as error:
        if collisions.code_of(error) != _NO_TABLE:
            raise
        return True
    known = MigrationLoader(None).graph.nodes  # from the files
    missing = any(one not in applied and not (known[one].replaces and applied.issuperset(known[one].replaces)) for one in known)
    cache.set(_MIGRATED, not missing, 60)
    return missing
