"""What the database keeps: a stale run changes nothing, what is rolled back was never accepted, NOTIFY is for those who sleep."""

import random
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection, transaction

from jobs import enqueue, enqueue_many
from jobs.conf import configuration
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.models.attempt import Outcome
from jobs.store import aftermath, broker, canvas, deadline, engine, links, prepared, transitions
from jobs.store.insert import NewJob
from jobs.store.locks import CHANNEL, SLEEPING
from jobs.store.sent import insert_sent
from jobs.store.transitions import Failure, Run
from jobs.worker import flush
from tests.rows import job_in, open_gate
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
FAILURE = Failure(error_class="Late", message="an answer of a run that was given up")
NEXT = NewJob(task="t.nap", args="[0]", task_id="the next link", priority=7, max_retries=None, options='{"headers": {"a": 1e16}}')
VERBS: dict[str, Callable[[Any, Run], bool]] = {
    "complete_handing_on": lambda cursor, run: (
        links.complete_handing_on(cursor, run, result='"stale"', meta=None, new=NEXT, worker=1, queues=["celery"]) is not None
    ),
    "complete_linked": lambda cursor, run: links.complete_linked(cursor, run, result='"stale"', meta=None, new=NEXT),
    "retry": lambda cursor, run: transitions.retry(cursor, run, FAILURE, delay=1.0),
    "bury": lambda cursor, run: transitions.bury(cursor, run, FAILURE, task="t.nap"),
    "release": lambda cursor, run: transitions.release(cursor, run),
    "lose": lambda cursor, run: transitions.lose(cursor, run, Failure(error_class="L", message="", outcome=Outcome.LOST)),
    "cancel_running": lambda cursor, run: transitions.cancel_running(cursor, run, FAILURE),
    "report_progress": lambda cursor, run: transitions.report_progress(cursor, run, '{"fraction": 1.0}'),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_answer_of_a_stale_run_changes_nothing(verb: str) -> None:
    """The first run was lost with its worker; the second runs, then has ended, when the first answers after all."""
    job = job_in("running")
    stale, live = Run(id=job.id, runs=1), Run(id=job.id, runs=2)
    with connection.cursor() as cursor:
        assert transitions.lose(cursor, stale, Failure(error_class="WorkerLost", message="", outcome=Outcome.LOST))
        for step in ("waits again", "runs again", "has ended"):
            if step == "runs again":
                assert transitions.claim(cursor, live, task_id=job.task_id, worker=2, queue=job.queue, priority=job.priority)
            if step == "has ended":
                assert transitions.complete(cursor, live, result="1")
            before = snapshot()
            assert not VERBS[verb](cursor, stale), step
            assert snapshot() == before, step


@pytest.mark.parametrize("verb", VERBS)
def test_the_live_run_is_heard(verb: str) -> None:
    """The same calls with the right fencing token do change the row: the test above cannot pass by accident."""
    job = job_in("running")
    before = snapshot()
    with connection.cursor() as cursor:
        assert VERBS[verb](cursor, Run(id=job.id, runs=1))
    assert snapshot() != before


def counted(cursor: Any, run: Run) -> bool:
    cursor.execute(flush.PREPARE)
    try:
        cursor.execute(flush.EXECUTE_COUNT, ([run.id], [run.runs], ['"stale"'], ["chord"], [0], ["1"], run.worker))
        return cursor.fetchone()[0] is not None
    finally:
        cursor.execute("DEALLOCATE ALL")


def completed(cursor: Any, run: Run) -> bool:
    cursor.execute(prepared.PREPARE)
    try:
        return prepared.complete(cursor, run, result='"stale"')
    finally:
        cursor.execute("DEALLOCATE ALL; RESET plan_cache_mode; RESET jit; RESET enable_seqscan")


ENDS_OF_A_WORKER: dict[str, Callable[[Any, Run], bool]] = {
    **{name: verb for name, verb in VERBS.items() if name != "lose"},
    "replace": transitions.replace,
    "complete": lambda cursor, run: transitions.complete(cursor, run, result='"stale"'),
    "complete prepared": completed,
    "complete counted": counted,
    "time_out": lambda cursor, run: deadline.time_out(cursor, run, rng=random.Random()) is not None,
    "set_options": lambda cursor, run: aftermath.set_options(cursor, run, '{"headers": {}}') or aftermath.options(cursor, run) is not None,
}


@pytest.mark.parametrize("verb", ENDS_OF_A_WORKER)
def test_a_run_of_another_worker_is_not_ended_though_it_has_the_same_number(verb: str) -> None:
    """PostgreSQL has lost its newest transactions (a failover, a backup), the claim among them, and somebody claims the job again."""
    job = job_in("running")
    assert job.worker == 1
    with connection.cursor() as cursor:
        canvas.set_size(cursor, "chord", 2)
        before = snapshot()
        assert not ENDS_OF_A_WORKER[verb](cursor, Run(id=job.id, runs=1, worker=2))
        assert snapshot() == before
        assert ENDS_OF_A_WORKER[verb](cursor, Run(id=job.id, runs=1, worker=1))
    assert snapshot() != before


@pytest.mark.parametrize(("verb", "status"), [("lose", "pending"), ("bury", "failed"), ("cancel_running", "cancelled")])
def test_a_lost_run_is_no_attempt_whatever_becomes_of_its_job(verb: str, status: str) -> None:
    job = job_in("running")
    options = {"task": "t.nap"} if verb == "bury" else {}
    with connection.cursor() as cursor:
        failure = Failure(error_class="WorkerLost", message="", outcome=Outcome.LOST)
        assert getattr(transitions, verb)(cursor, Run(id=job.id, runs=1), failure, **options)
    job.refresh_from_db()
    assert (job.status, job.runs, job.losses, job.attempts) == (status, 1, 1, 0)


def test_a_link_ends_and_its_next_one_becomes_a_row_as_any_other_message_does() -> None:
    run = Run(id=job_in("running").id, runs=1)
    with connection.cursor() as cursor:
        insert_sent(cursor, replace(NEXT, task_id="sent"))
        assert links.complete_linked(cursor, run, result="1", meta='{"children": []}', new=NEXT)
        assert not links.complete_linked(cursor, run, result="2", meta=None, new=replace(NEXT, task_id="one more"))
    ended, sent, linked = Job.objects.order_by("id")
    assert (ended.status, ended.result, ended.result_meta) == ("completed", 1, {"children": []})
    own = ("id", "task_id", "run_at", "created_at")
    same = [{name: value for name, value in Job.objects.values().get(id=job.id).items() if name not in own} for job in (sent, linked)]
    assert same[0] == same[1]
    assert linked.task_id == NEXT.task_id
    assert ended.created_at < linked.run_at <= linked.created_at


@pytest.mark.parametrize("taken", ["by a job", "by a revoke"])
def test_a_link_whose_next_one_is_no_new_row_is_left_to_the_long_way(taken: str) -> None:
    job = job_in("running")
    with connection.cursor() as cursor:
        if taken == "by a job":
            insert_sent(cursor, NEXT)
        else:
            canvas.revoke_unknown(cursor, str(NEXT.task_id), "{}")
        before = snapshot()
        assert not links.complete_linked(cursor, Run(id=job.id, runs=1), result="1", meta=None, new=NEXT)
        assert snapshot() == before


@pytest.mark.parametrize("runs", [1, 3])
def test_a_message_of_another_run_claims_nothing(runs: int) -> None:
    job = job_in("running")
    with connection.cursor() as cursor:
        assert transitions.release(cursor, Run(id=job.id, runs=1))
        assert not transitions.claim(
            cursor, Run(id=job.id, runs=runs), task_id=job.task_id, worker=2, queue=job.queue, priority=job.priority
        )


def snapshot() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Job, Attempt, DeadLetterQueue)]


def test_what_is_rolled_back_was_never_accepted() -> None:
    with transaction.atomic():
        enqueue("jobs.tasks.sleep", args=[0])
        enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3)
        assert Job.objects.count() == 4
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_a_savepoint_that_is_rolled_back_takes_its_jobs_along() -> None:
    with transaction.atomic():
        kept = [enqueue("jobs.tasks.sleep", args=[0]).id]
        try:
            with transaction.atomic():
                enqueue("jobs.tasks.sleep", args=[0])
                enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3)
                current_app.tasks["jobs.tasks.sleep"].delay(0)
                transaction.on_commit(lambda: pytest.fail("it was rolled back"))
                raise RuntimeError
        except RuntimeError:
            pass
        transaction.on_commit(lambda: kept.append(enqueue("jobs.tasks.sleep", args=[0]).id))
    assert set(Job.objects.values_list("id", flat=True)) == set(kept)
    assert len(kept) == 2


INSERTS = """
import django; django.setup()
from django.db import transaction
from jobs import enqueue
from jobs.tasks import sleep
with transaction.atomic():
    print(enqueue("jobs.tasks.sleep", args=[0]).id, sleep.delay(0).id, flush=True)
    input()
"""


def test_what_a_process_inserted_that_was_killed_before_its_commit_never_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INSERTS]
    environ = environment(DJANGO_SETTINGS_MODULE="task_queue_project.settings")
    with (
        running_worker(tmp_path / "log"),
        subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as inserts,
    ):
        assert inserts.stdout is not None
        assert len(inserts.stdout.readline().split()) == 2, "both are inserted"
        inserts.kill()
        inserts.wait(20)
        after = enqueue("jobs.tasks.sleep", args=[0])
        until(lambda: Job.objects.get(id=after.id).status == "completed", timeout=20)
    assert list(Job.objects.values_list("id", flat=True)) == [after.id]


def test_an_insert_notifies_only_a_leader_that_sleeps() -> None:
    leader = engine.connect("a leader")
    try:
        with leader.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
            enqueue("jobs.tasks.sleep", args=[0])
            assert not heard(leader, 0.3)
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", SLEEPING)
            enqueue("jobs.tasks.sleep", args=[0])
            assert heard(leader, 10)
            leader.notifies.clear()
            with connection.cursor() as own:
                last = Job.objects.latest("id")
                assert transitions.claim(own, Run(id=last.id, runs=1), task_id=last.task_id, worker=1, queue="celery", priority=5)
                assert not heard(leader, 0.3), "a claim makes nothing due"
                done = Run(id=Job.objects.latest("id").id, runs=1)
                handed = replace(NEXT, priority=9)
                linked = links.complete_handing_on(own, done, result="1", meta=None, new=handed, worker=1, queues=["celery"])
            assert linked is not None
            assert linked.begun
            assert not heard(leader, 0.3), "nor does a job that is handed over"
            enqueue("jobs.tasks.sleep", args=[0])
            assert heard(leader, 10), "which holds for that statement only"
    finally:
        leader.close()


def heard(leader: Any, seconds: float) -> bool:
    """Whether a notification comes within so many seconds."""
    if not leader.notifies:
        select.select([leader], [], [], seconds)
        leader.poll()
    return bool(leader.notifies)


def test_a_flood_of_low_priorities_keeps_no_high_one_out(tmp_path: Path) -> None:
    """Redis stays small, however many jobs wait; the urgent one starts first as soon as a slot is free."""
    import tests.taskapp.tasks  # noqa: F401 - registers the task in this process

    client = broker.client(settings.CELERY_BROKER_URL)
    with running_worker(tmp_path / "log"):
        naps = enqueue_many("t.gate", [(("flooded",), {})] * 4, priority=9)
        until(lambda: Job.objects.filter(id__in=naps, status="running").count() == 4, timeout=20)
        flood = enqueue_many("jobs.tasks.sleep", [((0,), {})] * 1000, priority=0)
        until(lambda: waiting(client) >= configuration().dispatch_window, timeout=10)
        urgent = enqueue("jobs.tasks.sleep", args=[0], priority=8)
        until(lambda: waiting(client) == configuration().dispatch_window + 1, timeout=10, what="it has a place of its own")
        open_gate("flooded")
        until(lambda: Job.objects.filter(status="completed").count() == 1005, timeout=60)
    first = Job.objects.exclude(id__in=naps).order_by("started_at", "-priority", "id").first()
    assert first is not None
    assert first.id == urgent.id
    assert len(flood) == 1000


def waiting(client: Any) -> int:
    """The messages in all lanes."""
    return sum(client.llen(key) for key in client.scan_iter("jobs:celery*") if client.type(key) == b"list")
