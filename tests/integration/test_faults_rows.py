"""Rows that other programs inserted wrongly, rows that are locked, and verbs that race: one job's trouble is no other's."""

import threading
from functools import partial
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import translation

from jobs import control, enqueue, enqueue_many
from jobs.domain import own_failures
from jobs.models import DeadLetterQueue, Job
from jobs.store import transitions
from jobs.store.transitions import Failure, Run
from tests.rows import job_in, open_gate
from tests.standing import on
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ON_GEVENT = on()
DEEP = "[" * 3000 + "]" * 3000
BAD = {  # columns of a plain INSERT: what its dead letter says
    ("args", '{"x": 1, "y": 2}'): "The positional arguments must be a list.",
    ("args", '"ab"'): "The positional arguments must be a list.",
    ("args", "null"): "The positional arguments must be a list.",
    ("kwargs", "[1, 2]"): "The named arguments must be an object with text keys.",
    ("kwargs", "7"): "The named arguments must be an object with text keys.",
    ("args", f"[1, {DEEP}]"): "cannot be read",
    ("args", f"[1, {'9' * 5000}]"): "cannot be read",
    ("args", '[1, {"__type__": "datetime", "__value__": "never"}]'): "cannot be read",
    ("options", '{"embed": 7}'): "The options of the job are not those of a Celery message.",
    ("options", '{"headers": {"expires": {"a": 1}}}'): "cannot be read",
    ("options", '{"headers": {"expires": []}}'): "cannot be read",
    ("options", '{"headers": {"timelimit": [1, 2, 3]}}'): "cannot be read",
    ("options", '{"headers": {"timelimit": ["long", null]}}'): "cannot be read",
    ("options", '{"headers": {"stamped_headers": 1}}'): "cannot be read",
    ("options", '{"headers": {"stamped_headers": ["a"], "stamps": [1]}}'): "cannot be read",
    ("args", "[1, 2, 3]"): "takes 2 positional arguments",
    ("kwargs", '{"z": "\\ud800\\u0000"}'): "unexpected keyword argument",
}
GOOD = {  # what looks odd and is not
    ("args", '["\\ud800", "\\u0000"]'): "\ud800\0",
    ("options", "7"): 3,
    ("options", '[{"embed": 1}]'): 3,
    ("options", '{"headers": {"eta": "soon"}}'): 3,  # the row says when
    ("options", '{"headers": {"eta": "2099-01-01T00:00:00"}}'): 3,
    ("options", '{"headers": [], "properties": 5, "embed": null}'): 3,
}


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def insert(column: str, value: str) -> int:
    values = {"args": "[1, 2]", "kwargs": "{}", "options": None} | {column: value}
    if column == "kwargs":
        values["args"] = "[]"
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, args, kwargs, options, max_retries)
               VALUES ('t.add', %(args)s, %(kwargs)s, %(options)s, 3) RETURNING id""",
            values,
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("pool", ["gevent", *(pytest.param(pool, marks=pytest.mark.chaos) for pool in ("prefork", "threads", "solo"))])
def test_bad_rows_are_buried_with_their_reason_and_the_others_run(tmp_path: Path, pool: str) -> None:
    bad = {insert(*row): reason for row, reason in BAD.items()}
    good = {insert(*row): result for row, result in GOOD.items()}
    with running_worker(tmp_path / "log", pool=pool, LANGUAGE_CODE="en") as worker:
        ids = [*bad, *good, enqueue("t.add", args=[1, 2]).id]
        until(lambda: Job.objects.filter(id__in=ids, finished_at__isnull=False).count() == len(ids), timeout=40, what="all ended")
        assert worker.poll() is None
    for id, reason in bad.items():
        assert reason in DeadLetterQueue.objects.get(job=id).message, Job.objects.get(id=id).args
    assert {id: Job.objects.get(id=id).result for id in good} == good
    assert set(Job.objects.filter(id__in=ids).values_list("runs", flat=True)) == {1}


@pytest.mark.chaos
def test_the_reason_is_translated(tmp_path: Path) -> None:
    job = insert("args", "7")
    with running_worker(tmp_path / "log", LANGUAGE_CODE="ar"):
        until(lambda: DeadLetterQueue.objects.filter(job=job).exists(), timeout=20)
    with translation.override("ar"):
        assert "يجب أن تكون المدخلات الموضعية قائمة." in own_failures.said(DeadLetterQueue.objects.get(job=job).message)


@ON_GEVENT
def test_a_locked_row_holds_up_no_other_job(standing_worker: str) -> None:
    """A stray transaction keeps one waiting and one running row locked while sixty others run."""
    runs = enqueue("t.gate", args=["locked"], priority=9).id
    until(lambda: Job.objects.get(id=runs).status == "running", timeout=20)
    with transaction.atomic():
        waits = in_another_session(lambda: enqueue("t.add", args=[1, 2], priority=9, delay=3).id)
        list(Job.objects.select_for_update().filter(id__in=[runs, waits]))
        open_gate("locked")  # now its body ends
        others = in_another_session(lambda: enqueue_many("t.nap", [((0.05,), {})] * 60))
        until(lambda: Job.objects.filter(id__in=others, status="completed").count() == 60, timeout=40)
        until(lambda: db_now_is_after(waits), timeout=20)
        assert set(Job.objects.filter(id__in=[runs, waits]).values_list("status", flat=True)) == {"running", "pending"}
    until(lambda: Job.objects.filter(id__in=[runs, waits], status="completed").count() == 2, timeout=20)
    assert set(Job.objects.values_list("runs", flat=True)) == {1}


def db_now_is_after(id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() > run_at + interval '1 s' FROM jobs_job WHERE id = %s", [id])
        return bool(cursor.fetchone()[0])


def in_another_session(work):  # type: ignore[no-untyped-def]
    """Committed at once, unlike what this test's open transaction does."""
    found = []

    def run() -> None:
        try:
            found.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@ON_GEVENT
def test_cancel_racing_complete_has_one_winner(standing_worker: str) -> None:
    """Jobs are cancelled at the very time they complete; a completed one stays completed, a cancelled one has no result."""
    ids = enqueue_many("t.nap_and_add", [((0.03, n), {}) for n in range(150)])
    asked = set()
    while Job.objects.filter(id__in=ids, finished_at__isnull=True).exists():
        some = list(Job.objects.filter(id__in=ids, status="running").values_list("id", flat=True))
        asked |= set(control.cancel(some, "sara").done)
    jobs = list(Job.objects.filter(id__in=ids))
    for job in jobs:
        assert (job.status, job.result is not None) in (("completed", True), ("cancelled", False))
        assert job.status == "completed" or job.id in asked
    assert {job.runs for job in jobs} == {1}
    assert asked


def test_the_page_says_which_of_the_two_won(admin_client: Client) -> None:
    for end, sentence in (("completed", "but it completed first"), ("cancelled", "\u2068sara\u2069 cancelled it.")):
        job = job_in("running")
        assert control.cancel([job.id], "sara").done == [job.id]
        run = Run(id=job.id, runs=1)
        failure = Failure(error_class="JobCancelled", message="stopped")
        with connection.cursor() as cursor:
            moves = {
                "completed": partial(transitions.complete, cursor, run, result="1"),
                "cancelled": partial(transitions.cancel_running, cursor, run, failure),
            }
            assert moves.pop(end)()
            assert not any(move() for move in moves.values()), "the other one comes too late"
        page = admin_client.get(f"/jobs/{job.id}/", headers={"accept-language": "en"}).content.decode()
        assert sentence in page


@ON_GEVENT
def test_a_running_job_is_stopped_within_two_seconds(standing_worker: str) -> None:
    ids = enqueue_many("t.nap", [((60,), {})] * 4)
    until(lambda: Job.objects.filter(id__in=ids, status="running").count() == 4, timeout=20)
    assert control.cancel(ids, "sara").done == sorted(ids)
    until(lambda: Job.objects.filter(id__in=ids, status="cancelled").count() == 4, timeout=10)
    jobs = Job.objects.filter(id__in=ids)
    assert max((job.finished_at - job.cancel_requested_at).total_seconds() for job in jobs) < 2 * 2  # a loaded machine: twice
    after = enqueue("t.add", args=[1, 2]).id
    until(lambda: Job.objects.get(id=after).status == "completed", timeout=10)


@pytest.mark.parametrize(
    "pool", ["threads", pytest.param("prefork", marks=pytest.mark.chaos), pytest.param("solo", marks=pytest.mark.chaos)]
)
def test_other_pools_stop_a_running_job_too(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        job = enqueue("t.spin" if pool == "threads" else "t.nap", args=[60]).id
        until(lambda: Job.objects.get(id=job).status == "running", timeout=20)
        control.cancel([job], "sara")
        until(lambda: Job.objects.get(id=job).status == "cancelled", timeout=10)
        stopped = Job.objects.get(id=job)
        assert (stopped.finished_at - stopped.cancel_requested_at).total_seconds() < 2 * 2  # a loaded machine: twice
        after = enqueue("t.add", args=[1, 2]).id
        until(lambda: Job.objects.get(id=after).status == "completed", timeout=10)
