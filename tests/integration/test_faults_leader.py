"""A leader that is cut off or stopped while jobs flow: another one goes on in time, and nothing runs twice."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import translation

from jobs import enqueue, enqueue_many
from jobs.conf import configuration
from jobs.models import Job
from jobs.store import readiness
from jobs.store.leadership import NAME
from tests.integration.test_election import Candidate, candidate, holders, leader
from tests.pushes import Pushes
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LOADED = 2
CHANGES = 10  # of leaders, to measure what they send again


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def flow(stack: ExitStack, tmp_path: Path) -> tuple[list[Candidate], Candidate, int]:
    """A worker, two candidates, jobs that have begun to complete; the candidates, the one that leads, its session."""
    candidates = [stack.enter_context(candidate(tmp_path / f"log-{n}")) for n in range(2)]
    first = leader(candidates)
    stack.enter_context(running_worker(tmp_path / "worker", JOBS_LEADER_CHILD="False"))
    enqueue_many("t.nap", [((0.03,), {})] * 800)
    until(lambda: Job.objects.filter(status="completed").count() > 50, timeout=30)
    (session,) = holders()
    return candidates, first, session


def all_ran_once() -> None:
    until(lambda: not Job.objects.exclude(status="completed").exists(), timeout=60)
    assert set(Job.objects.values_list("runs", flat=True)) == {1}


def test_a_leader_whose_connection_is_cut_is_replaced(tmp_path: Path) -> None:
    with ExitStack() as stack:
        candidates, first, session = flow(stack, tmp_path)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [session])
        cut = time.monotonic()
        until(lambda: holders() not in ([], [session]), timeout=10, every=0.005)
        assert time.monotonic() - cut < 1 * LOADED
        until(lambda: sum(one.terms() for one in candidates) == 2, timeout=10)
        assert first.process.poll() is None, "it stands by, or leads again"
        all_ran_once()


def test_one_that_is_stopped_while_none_stands_by_is_told_of_and_replaced_by_its_worker(tmp_path: Path) -> None:
    with running_worker(tmp_path / "worker"):
        until(lambda: not readiness.reasons(), what="one leads")
        with connection.cursor() as cursor:
            cursor.execute("SELECT application_name FROM pg_stat_activity WHERE pid = %s", holders())
            stopped = int(cursor.fetchone()[0].removeprefix(NAME))
        os.kill(stopped, signal.SIGSTOP)
        job = enqueue("t.nap", args=[0])
        with translation.override("en"):
            until(lambda: [reason for reason in readiness.reasons() if "No leader is up" in reason], timeout=60, every=0.2)
        until(lambda: Job.objects.get(pk=job.pk).status == "completed", timeout=60)
        assert not readiness.reasons()
    assert f"the leader's process ended with {-signal.SIGKILL}; starting it again" in (tmp_path / "worker").read_text()


@pytest.mark.chaos
def test_two_that_believe_they_lead(tmp_path: Path) -> None:
    """The stopped one goes on in the middle of its term; its session is gone, what it still sends is refused."""
    with Pushes(settings.CELERY_BROKER_URL) as pushes, ExitStack() as stack:
        candidates, first, session = flow(stack, tmp_path)
        os.kill(first.process.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        until(lambda: holders() not in ([], [session]), timeout=20)
        assert time.monotonic() - stopped < 4 * LOADED
        enqueue_many("t.nap", [((0.03,), {})] * 400, priority=9)
        os.kill(first.process.pid, signal.SIGCONT)
        all_ran_once()
        assert [one.terms() for one in candidates] == [1, 1]
    print(pushes.again, "messages sent again")
    assert pushes.again <= 0.01 * configuration().dispatch_window


@pytest.mark.chaos
def test_changes_of_leaders_send_hardly_anything_again(tmp_path: Path) -> None:
    """At most a hundredth of the window, and all of that is refused."""
    with Pushes(settings.CELERY_BROKER_URL) as pushes, ExitStack() as stack:
        flow(stack, tmp_path)
        enqueue_many("t.nap", [((0.03,), {})] * 1500)
        for _ in range(CHANGES):
            (session,) = until(holders, timeout=10)
            ended = Job.objects.filter(status="completed").count()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [session])
            until(lambda session=session: holders() not in ([], [session]), timeout=10)  # type: ignore[misc]
            until(lambda ended=ended: Job.objects.filter(status="completed").count() > ended + 40, timeout=30)  # type: ignore[misc]
        assert Job.objects.filter(status="pending").count() > configuration().dispatch_window, "the window was full each time"
        all_ran_once()
    assert len(pushes.counted) == Job.objects.count(), "each message was seen"
    print(pushes.again, "messages sent again by", CHANGES, "changes of leaders")
    assert pushes.again <= 0.01 * CHANGES * configuration().dispatch_window
