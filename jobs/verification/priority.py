"""The test of priorities and slots: jobs of mixed priorities, and the judgement of their recorded times."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from jobs import control
from jobs.domain.actors import Actor, Source
from jobs.domain.outcomes import Outcome
from jobs.domain.statuses import LIVE, Status
from jobs.enqueueing import enqueue, enqueue_many
from jobs.models import Attempt, Job, Worker
from jobs.models.job import HEAVY
from jobs.store import fresh
from jobs.store.clock import reckoned
from jobs.verification import rules
from jobs.verification.rules import Run

TASK: Final = "jobs.tasks.sleep"
MARK: Final = "test_priority_concurrency #"
TOLERANCE: Final = timedelta(seconds=1)  # for a slot to be filled again
GRACE: Final = timedelta(milliseconds=250)  # for what was just due, between several workers; for all slots to be filled once
TOGETHER: Final = timedelta(milliseconds=50)  # between starts of those that claim side by side: each takes its message in order
BY: Final = Actor(name="manage.py test_priority_concurrency", source=Source.COMMAND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was measured, and what was wrong with it."""

    facts: list[str]
    problems: list[str]


def create(count: int, sleep: float, max_retries: int) -> list[int]:
    """Insert the jobs in one statement, their priorities mixed so that no order of insertion sorts them."""
    priorities = [(7 * place + 3) % 10 for place in range(count)]
    names = [f"{MARK}{place}" for place in range(1, count + 1)]
    return enqueue_many(TASK, [((sleep,), {})] * count, names=names, priorities=priorities, max_retries=max_retries)


def create_one(name: str, sleep: float, priority: int, max_retries: int) -> Job:
    """Insert one job of any name, whose unique key says that it is one of this test. Raises InvalidJob."""
    key = f"{MARK}{uuid.uuid4().hex}"
    return enqueue(TASK, args=[sleep], name=name, priority=priority, max_retries=max_retries, unique_key=key)


def clear() -> control.Report:
    """Remove the earlier jobs of this test, and only those; the ones that run are asked to stop and stay."""
    own = Q(name__startswith=MARK) | Q(unique_key__startswith=MARK)
    ids = list(fresh.rows(Job).filter(own, task=TASK).values_list("id", flat=True))
    control.cancel(list(fresh.rows(Job).filter(id__in=ids, status__in=LIVE).values_list("id", flat=True)), BY)
    return control.delete(ids, BY)


def judge(ids: Sequence[int], expect: int) -> Verdict:
    """Verify the ended jobs on what the database recorded."""
    unfinished = list(fresh.rows(Job).filter(id__in=ids).exclude(status=Status.COMPLETED).values_list("id", flat=True))
    if unfinished:
        return Verdict(facts=[], problems=[_("not completed: %(ids)s") % {"ids": ", ".join(map(str, unfinished))}])
    own = own_runs(ids)
    return verdict(own, other_runs(own), expect, side_by_side=_claim_side_by_side({run.worker for run in own}))


def verdict(own: Sequence[Run], others: Sequence[Run], expect: int, *, side_by_side: bool = False) -> Verdict:
    """Judge the runs of the test; those of other jobs count as busy slots on the same workers.

    `side_by_side`: the slots of a worker claim for themselves, so that two that took their messages in order may start in another.
    """
    if not own:
        return Verdict(facts=[], problems=[_("no run was recorded")])
    workers = {run.worker for run in own}
    every = [*own, *(run for run in others if run.worker in workers)]
    first = min(run.started_at for run in own)
    waiting = [replace(run, due_at=max(run.due_at, first)) for run in every]  # how fast the first starts is not judged here
    peaks = rules.at_once(every)
    alone = len(workers) == 1
    pairs = rules.inversions(own, rules.ZERO if alone else GRACE, TOGETHER if side_by_side or not alone else rules.ZERO)
    facts = [_("worker %(worker)d: at most %(peak)d at once") % {"worker": worker, "peak": peak} for worker, peak in peaks.items()]
    facts.append(_("inversions: %(number)d") % {"number": len(pairs)})
    problems = [_("job %(id)d started while %(expect)d others ran: %(run)s") % _row(run, expect) for run in rules.crowded(every, expect)]
    gaps = rules.idle(waiting, expect, TOLERANCE)
    gaps += [gap for gap in rules.unreached(waiting, expect, GRACE) if gap.worker not in {other.worker for other in gaps}]
    problems += [_describe_idle(gap, expect) for gap in gaps]
    problems += [_("inversion: %(early)s started before %(late)s") % {"early": _text(a), "late": _text(b)} for a, b in pairs]
    return Verdict(facts=facts, problems=problems)


def own_runs(ids: Sequence[int]) -> list[Run]:
    """The runs of completed jobs."""
    parents = _parents()
    return [_run(job, parents) for job in fresh.rows(Job).filter(id__in=ids, worker__isnull=False).order_by("id")]


def other_runs(own: Sequence[Run]) -> list[Run]:
    """What else ran on the same workers in that time: other jobs, and attempts that failed.

    Not those that were lost: when they ended nobody knows, and a worker that is started again has the name of the one before.
    """
    if not own:
        return []
    parents = _parents()
    workers = {run.worker for run in own}
    begin, end = min(run.started_at for run in own), max(run.finished_at for run in own)
    jobs = fresh.rows(Job).filter(worker__isnull=False, started_at__lt=end).exclude(finished_at__lt=begin)
    found = {(job.id, job.started_at): _run(job, parents) for job in jobs.exclude(id__in=[run.id for run in own]).defer(*HEAVY)}
    names = {worker.name: parents.get(worker.id, worker.id) for worker in fresh.rows(Worker)}
    known = fresh.rows(Attempt).exclude(outcome=Outcome.LOST).filter(worker__in=list(names), started_at__lt=end, finished_at__gt=begin)
    for attempt in known.select_related("job"):
        key = (attempt.job_id, attempt.started_at)
        if attempt.started_at is not None and key not in found:
            found[key] = _other(attempt.job_id, attempt.started_at, attempt.finished_at, names[attempt.worker])
    return [replace(run, due_at=run.started_at) for run in found.values() if run.worker in workers]


def _other(id: int, started_at: datetime, finished_at: datetime, worker: int) -> Run:
    return Run(id=id, priority=0, run_at=started_at, due_at=started_at, started_at=started_at, finished_at=finished_at, worker=worker)


def _claim_side_by_side(workers: set[int]) -> bool:
    """Whether one of them has children or threads; under gevent one connection claims for all slots."""
    return fresh.rows(Worker).filter(id__in=workers, pool__in=["prefork", "thread"]).exists()


def _parents() -> dict[int, int]:
    return {worker.id: worker.parent for worker in fresh.rows(Worker).exclude(parent=None) if worker.parent is not None}


def _run(job: Job, parents: dict[int, int]) -> Run:
    assert job.worker is not None
    assert job.started_at is not None
    return Run(
        id=job.id,
        priority=job.priority,
        run_at=job.run_at,
        due_at=max(job.created_at, job.run_at),
        started_at=job.started_at,
        finished_at=job.finished_at or reckoned(),
        worker=parents.get(job.worker, job.worker),
    )


def _row(run: Run, expect: int) -> dict[str, object]:
    return {"id": run.id, "expect": expect, "run": _text(run)}


def _text(run: Run) -> str:
    values = {"id": run.id, "priority": run.priority, "start": f"{run.started_at:%H:%M:%S.%f}", "end": f"{run.finished_at:%H:%M:%S.%f}"}
    return _("job %(id)d (priority %(priority)d, %(start)s to %(end)s)") % values


def _describe_idle(gap: rules.Idle, expect: int) -> str:
    values = {"worker": gap.worker, "running": gap.running, "expect": expect, "since": f"{gap.since:%H:%M:%S.%f}"}
    values["seconds"] = f"{(gap.until - gap.since).total_seconds():.2f}"
    return _("worker %(worker)d ran only %(running)d of %(expect)d for %(seconds)s s from %(since)s, although jobs were waiting") % values
