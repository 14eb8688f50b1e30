"""kill -9 of a worker with its slots full and a filled window: how soon its jobs run again elsewhere."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jobs import enqueue_many
from jobs.models import Attempt, Job
from tests.integration.test_election import _standing_by as standing_by
from tests.integration.test_election import candidate
from tests.waiting import until
from tests.workers import kill_group, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ALONE, WITH_LEADER = 3.0, 5.0  # seconds until its jobs run again
LOADED = 2


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def now() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def kill_again_and_again(tmp_path: Path, times: int, *, group: bool) -> list[float]:
    """How long it took each time. With `group` the leader is the victim's own child, and a standby waits."""
    taken = []
    with running_worker(tmp_path / "survivor", "-n", "survivor@here", slots=8, JOBS_LEADER_CHILD=str(not group)):
        for number in range(times):
            taken.append(kill_one(tmp_path, number, group=group))
    return taken


def kill_one(tmp_path: Path, number: int, *, group: bool) -> float:
    with ExitStack() as stack:
        log = tmp_path / f"victim-{number}"
        victim = stack.enter_context(running_worker(log, "-n", f"victim{number}@here", "-Q", "own", JOBS_LEADER_CHILD=str(group)))
        if group:
            until(lambda: "is the leader now" in log.read_text(), timeout=20)
            stack.enter_context(candidate(tmp_path / f"standby-{number}"))
            until(lambda: standing_by() == 1, timeout=20)
        held = enqueue_many("t.nap", [((20,), {})] * 4, queue="own", priority=9)
        until(lambda: Job.objects.filter(id__in=held, status="running").count() == 4, timeout=30)
        Job.objects.filter(id__in=held).update(queue="celery", task="t.add", args=[1, 2])  # again on the survivor, and short
        waiting = enqueue_many("t.nap", [((0.02,), {})] * 64)
        before = now()
        if group:
            kill_group(victim)
        else:
            os.kill(victim.pid, signal.SIGKILL)
        until(lambda: Job.objects.filter(id__in=[*held, *waiting], status="completed").count() == 68, timeout=60)
    again = list(Job.objects.filter(id__in=held))
    assert {(job.runs, job.losses, job.attempts) for job in again} == {(2, 1, 1)}
    assert set(Attempt.objects.filter(job_id__in=held).values_list("outcome", flat=True)) == {"lost"}
    return max((job.started_at - before).total_seconds() for job in again)


def never_more_than(slots: int) -> None:
    """By the database's clock, over all runs that were recorded to their end."""
    jobs = list(Job.objects.exclude(finished_at=None).values_list("worker", "started_at", "finished_at"))
    for worker, started, _ in jobs:
        assert sum(other == worker and begin <= started < end for other, begin, end in jobs) <= slots


@pytest.mark.parametrize("group", [False, pytest.param(True, marks=pytest.mark.chaos)])
def test_jobs_of_a_killed_worker_run_again_in_time(tmp_path: Path, group: bool) -> None:
    assert max(kill_again_and_again(tmp_path, 2, group=group)) < (WITH_LEADER if group else ALONE) * LOADED
    never_more_than(8)


@pytest.mark.chaos
@pytest.mark.parametrize("group", [False, True])
def test_fifty_kills(tmp_path: Path, group: bool) -> None:
    taken = sorted(kill_again_and_again(tmp_path, 25, group=group))
    print("group" if group else "worker", "p50", round(taken[12], 2), "max", round(taken[-1], 2))
    assert taken[-1] < (WITH_LEADER if group else ALONE) * LOADED
    never_more_than(8)
