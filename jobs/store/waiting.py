"""What stands between a job that waits and its start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.domain.statuses import State, Status
from jobs.models import Job
from jobs.models.job import HEAVY
from jobs.store import caller, clock, fresh, locks, stats
from jobs.store.outages import Refusal
from jobs.store.stats import WorkerLine

MOST: Final = 10_000  # jobs counted ahead; beyond that it is "more than"
RECENT: Final = 300  # seconds that the pace is taken from
_AHEAD = """
SELECT count(*) FROM (
  SELECT 1 FROM jobs_job WHERE status = 'pending' AND queue = ANY(%(queues)s) AND run_at <= statement_timestamp()
     AND (priority > %(priority)s OR (priority = %(priority)s AND (run_at, id) < (%(run_at)s, %(id)s))) LIMIT %(most)s) ahead"""
_AHEAD_AND_LONE = f"SELECT ({_AHEAD}), ({locks.LONE_WORKER} LIMIT 1)"
# The newest ends only, whatever their queue: a busy system ends hundreds of thousands in five minutes.
_PACE = """
SELECT count(*) FILTER (WHERE queue = ANY(%(queues)s)), extract(epoch FROM statement_timestamp() - min(finished_at))::float FROM (
  SELECT queue, finished_at FROM jobs_job
   WHERE status = 'completed' AND finished_at > statement_timestamp() - make_interval(secs => %(recent)s)
   ORDER BY finished_at DESC LIMIT 2000) ended"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """The facts behind the sentence “why is this job waiting?”."""

    ahead: int  # due jobs that go first, in all queues its workers serve; MOST + 1 means more than MOST
    pace: float  # jobs completed per second in these queues lately; 0.0: none
    workers: tuple[WorkerLine, ...]  # those alive that serve its queue
    any_worker: bool  # whether any worker lives
    known: bool  # whether one of its workers has the task
    leader: bool
    refusal: Refusal | None  # of messages, by Redis
    replaced: bool  # it is held until the tasks that it was replaced by have ended
    suspects: int  # other jobs in flight that lost their worker twice; such jobs run one at a time
    lone: Job | None  # such a job that runs alone, or is about to, where this one would start; it may be this one itself

    @property
    def slots(self) -> int:
        """All slots of its workers."""
        return sum(line.worker.concurrency for line in self.workers)

    @property
    def busy(self) -> tuple[Job, ...]:
        """What runs in them, the longest first."""
        running = [job for line in self.workers for job in line.running]
        return tuple(sorted(running, key=lambda job: (job.started_at is None, job.started_at)))

    @property
    def seconds(self) -> float | None:
        """About how long until its turn, at the pace of the last minutes; None when nobody can say."""
        if not self.pace or not self.slots or self.ahead > MOST:
            return None
        return (self.ahead + max(len(self.busy) - self.slots + 1, 0)) / self.pace


def obstacles(job: Job) -> Obstacles:
    """What stands between this pending job and its start, as it is now."""
    everyone = stats.workers()
    serving = [line for line in everyone if job.queue in line.worker.queues]
    queues = sorted({job.queue}.union(*(line.worker.queues for line in serving)))
    ahead, lone, pace = _numbers(job, queues)
    leader, refusal = stats.leader_and_refusal()
    suspects = 0
    if job.losses >= 2:
        suspects = fresh.rows(Job).filter(losses__gte=2, status=Status.RUNNING).exclude(pk=job.pk).count()
    return Obstacles(
        ahead=ahead,
        pace=pace,
        workers=tuple(serving),
        any_worker=bool(everyone),
        known=any(job.task in line.worker.tasks for line in serving),
        leader=leader,
        refusal=refusal,
        replaced=job.state is State.REPLACED,
        suspects=suspects,
        lone=_lone(lone, serving),
    )


def _lone(worker: int | None, serving: Sequence[WorkerLine]) -> Job | None:
    """The job that lost its worker twice for which this worker starts no other; None where another one has a free slot."""
    line = next((line for line in serving if line.worker.id == worker), None)
    if line is None or any(other.free for other in serving if other is not line):
        return None
    runs = next((job for job in line.running if job.losses >= 2), None)
    if runs is not None:
        return runs
    due = fresh.rows(Job).filter(losses__gte=2, status=Status.PENDING, run_at__lte=clock.reckoned(), queue__in=line.worker.queues)
    return due.defer(*HEAVY).order_by("-priority", "run_at").first()  # as the leader picks it


def _numbers(job: Job, queues: Sequence[str]) -> tuple[int, int | None, float]:
    with caller.cursor() as cursor:
        cursor.execute(
            _AHEAD_AND_LONE,
            {"queues": list(queues), "priority": job.priority, "run_at": job.run_at, "id": job.pk, "most": MOST + 1},
        )
        ahead, lone = cursor.fetchone()
        cursor.execute(_PACE, {"queues": list(queues), "recent": RECENT})
        ended, seconds = cursor.fetchone()
    return ahead, lone, ended / max(seconds, 1.0) if ended else 0.0
