"""Results over rows: states, exceptions, waiting, groups, revocations; asked from another process than the worker's."""

import statistics
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import chain, current_app, group, uuid
from celery.exceptions import TaskRevokedError, TimeoutError
from celery.result import AsyncResult, GroupResult, allow_join_result
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from jobs.domain.errors import NotCommitted
from jobs.models import Attempt, DeadLetterQueue, Job, StoredResult, Worker
from tests.flows import GET, job_of, s, si, task
from tests.rows import job_in, open_gate
from tests.standing import on
from tests.taskapp.flows import OutOfStock
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ON_GEVENT = on()


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


CANVAS = ("jobs_chord", "jobs_chordpart", "jobs_savedgroup", "jobs_storedresult", "jobs_aftermath", "jobs_attempt")
_TOUCHED = """SELECT relname, n_tup_ins + n_tup_upd + n_tup_del, coalesce(seq_scan, 0) + coalesce(idx_scan, 0)
                FROM pg_stat_user_tables WHERE relname = ANY(%s) OR relname = 'jobs_job'"""


def touched() -> dict[str, tuple[int, int]]:
    """By table: rows written, and scans."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
        cursor.execute(_TOUCHED, [list(CANVAS)])
        return {name: (written, scans) for name, written, scans in cursor.fetchall()}


def test_canvas_and_results_cost_a_plain_job_no_statement(tmp_path: Path) -> None:
    """Counted, not timed: an INSERT, a claim and a completion, and none of the tables beside."""
    jobs = 1000
    before = touched()
    start = time.monotonic()
    with running_worker(tmp_path / "log"):
        for _ in range(jobs):
            task("same").delay(1)
        until(lambda: Job.objects.filter(status="completed").count() == jobs, timeout=120, every=0.5)
        seconds = time.monotonic() - start
    until(lambda: touched()["jobs_job"][0] - before["jobs_job"][0] == 3 * jobs, timeout=20)  # the worker's figures come when it ends
    after = touched()
    assert {name: after[name][0] - before[name][0] for name in CANVAS} == dict.fromkeys(CANVAS, 0)
    looks = {name: after[name][1] - before[name][1] for name in CANVAS if name != "jobs_attempt"}  # the index of words reads attempts
    assert max(looks.values()) <= 20 + 5 * seconds, looks  # who looks once a second whether anybody is to be told
    assert set(Job.objects.values_list("result_meta", "progress")) == {(None, None)}
    kept = [set(options) for options in Job.objects.values_list("options", flat=True) if options]
    assert not [names for names in kept if "embed" in names]


@pytest.mark.parametrize("state", [None, 2])
def test_a_state_that_is_no_text_is_kept(state: int | None) -> None:
    """`update_state(meta=...)` leaves it out."""
    waits = task("same").apply_async((1,), countdown=3600)
    for result in (waits, AsyncResult("nobody knows it")):
        task("same").update_state(task_id=result.id, state=state, meta={"at": 50})
        assert (result.info, result.ready()) == ({"at": 50}, False)
    assert waits.state == state


@ON_GEVENT
def test_states_and_values_come_from_the_row(standing_worker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = task("same").apply_async((1,), countdown=3600)
    assert (waits.state, waits.result, waits.ready()) == ("PENDING", None, False)
    assert AsyncResult("nobody knows it").state == "PENDING"
    messages: list[str] = []
    reporting = task("reports").delay()
    until(lambda: reporting.state == "LOADING", timeout=GET)
    assert reporting.info == {"current": 1, "total": 4}
    assert job_of(reporting).progress["fraction"] == 0.25
    listener = threading.Thread(target=_listen, args=(reporting.id, messages))
    listener.start()
    until(lambda: messages, timeout=GET)
    get_user_model().objects.create(username="go on")
    assert reporting.get(timeout=GET) == "done"
    listener.join(GET)
    assert messages[-1] == "SUCCESS"
    assert "LOADING" in messages

    nap, unasked = task("gate").delay("seen"), task("gate").apply_async(("seen",), ignore_result=True)
    until(lambda: (job_of(nap).status, job_of(unasked).status) == ("running", "running"), timeout=GET)
    assert nap.state == "PENDING"
    with monkeypatch.context() as patch:
        patch.setitem(current_app.conf, "task_track_started", True)
        assert (nap.state, nap.info["pid"], "@" in nap.info["hostname"]) == ("STARTED", Worker.objects.get(parent=None).pid, True)
        assert AsyncResult(unasked.id).state == "PENDING"
    open_gate("seen")
    assert nap.get(timeout=GET) == 0
    assert nap.successful()

    retried = task("retry_limited").delay()
    with pytest.raises(OutOfStock) as caught:
        retried.get(timeout=GET)
    assert caught.value.args == ("fig", 2)
    assert isinstance(retried.result, OutOfStock)
    assert "OutOfStock" in retried.traceback
    assert retried.failed()
    assert retried.get(timeout=1, propagate=False).item == "fig"

    again, unasked, later = task("again").delay(1), task("again").apply_async((1,), ignore_result=True), task("retry_later").delay()
    assert again.get(timeout=GET)[0] == 9
    assert (again.children, again.traceback) == ([], None)
    assert [child for child, _ in again.collect()] == [again]
    until(lambda: job_of(unasked).status == "completed", timeout=GET)
    unasked = AsyncResult(unasked.id)
    assert (unasked.state, unasked.result, unasked.traceback, unasked.children) == ("PENDING", None, None, None)
    until(lambda: later.state == "RETRY", timeout=GET)
    assert (later.children, "retry_later" in later.traceback) == ([], True)
    later.revoke()
    assert later.state == "REVOKED"
    with pytest.raises(TaskRevokedError, match=r"^revoked$"):
        later.get(timeout=GET)

    sending = task("sends").delay()
    assert sending.get(timeout=GET) is None
    assert [child.get(timeout=GET) for child in sending.children] == [1, 2]

    silent = task("silent").apply_async(link=s("add_one"))
    until(lambda: job_of(silent).status == "completed", timeout=GET)
    assert (AsyncResult(silent.id).state, AsyncResult(silent.id).children, job_of(silent).result) == ("PENDING", None, None)

    ignoring = task("ignores").delay()
    until(lambda: ignoring.state == "SKIPPED", timeout=GET)
    assert ignoring.info == {"why": "nothing to do"}

    forgotten = task("same").delay(5)
    assert forgotten.get(timeout=GET) == 5
    forgotten.forget()
    assert AsyncResult(forgotten.id).state == "PENDING"
    with pytest.raises(TimeoutError):
        waits.get(timeout=0.2)


def _listen(task_id: str, messages: list[str]) -> None:
    try:
        with allow_join_result():
            AsyncResult(task_id).get(timeout=GET, on_message=lambda meta: messages.append(meta["status"]))
    finally:
        connection.close()


def test_retry_state_shows_the_error(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", JOBS_RETRY_BACKOFF="60"):
        from jobs import enqueue

        job = enqueue("t.raises")
        result = AsyncResult(job.task_id)
        until(lambda: result.state == "RETRY", timeout=GET)
        assert isinstance(result.info, OutOfStock)


@ON_GEVENT
def test_waiting_ends_with_the_job_and_not_with_a_poll(standing_worker: str) -> None:
    """By the database's clock, from the recorded end of the job to the moment the waiter knows."""
    late = []
    assert task("same").delay(0).get(timeout=GET) == 0
    for _ in range(30):
        result = task("nap").delay(0.1)
        result.get(timeout=GET)
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp() - finished_at) FROM jobs_job WHERE task_id = %s", [result.id])
            late.append(float(cursor.fetchone()[0]))
    assert statistics.median(late) < 0.05, late  # an idle machine: 2 ms


@ON_GEVENT
def test_groups_join_save_and_restore(standing_worker: str) -> None:
    sent = group(s("same", n) for n in range(20)).apply_async()
    sent.save()
    again = GroupResult.restore(sent.id)
    assert again.get(timeout=GET) == list(range(20))
    assert sorted(meta["result"] for _, meta in sent.iter_native(timeout=GET)) == list(range(20))
    assert (again.completed_count(), again.successful()) == (20, True)
    again.delete()
    assert GroupResult.restore(sent.id) is None
    failing = group(s("same", 1), s("raises")).apply_async()
    with pytest.raises(OutOfStock):
        failing.get(timeout=GET)
    until(lambda: failing.ready(), timeout=GET)
    assert failing.failed()
    with pytest.raises(TimeoutError):
        group(s("same", 1).set(countdown=900), s("same", 2)).apply_async().get(timeout=0.3)


def test_revocations_are_kept_without_a_worker(tmp_path: Path) -> None:
    revoked, expired = task("same").delay(1), task("same").apply_async((2,), expires=timezone.now() - timedelta(seconds=5))
    revoked.revoke()
    assert (revoked.state, job_of(revoked).status) == ("REVOKED", "cancelled")
    stamped = si("same", 4)
    stamped.stamp(tenant="acme")
    by_stamp, other = stamped.apply_async(), task("same").delay(5)
    current_app.control.revoke_by_stamped_headers({"tenant": ["acme"]})
    assert by_stamp.state == "REVOKED"
    linked = chain(s("same", 1), s("add_one"), s("add_one")).apply_async()
    linked.revoke()
    with running_worker(tmp_path / "log"):
        assert other.get(timeout=GET) == 5
        with pytest.raises(TaskRevokedError, match="expired"):
            expired.get(timeout=GET)
        assert linked.parent.get(timeout=GET) == 2
        with pytest.raises(TaskRevokedError):
            linked.get(timeout=GET)
        assert job_of(linked).status == "cancelled"
        runs = task("nap").delay(60)
        until(lambda: job_of(runs).status == "running", timeout=GET)
        runs.revoke(terminate=True)
        with pytest.raises(TaskRevokedError):
            runs.get(timeout=GET)
        until(lambda: job_of(runs).status == "cancelled", timeout=GET)
    assert DeadLetterQueue.objects.count() == 0


@pytest.mark.parametrize("pool", ["prefork", pytest.param("gevent", marks=pytest.mark.slow)])
def test_a_run_that_was_terminated_ends_as_celery_has_it(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        runs = task("nap").delay(60)
        until(lambda: job_of(runs).status == "running", timeout=GET)
        runs.revoke(terminate=True)
        with pytest.raises(TaskRevokedError, match=r"^terminated$"):
            runs.get(timeout=GET)
        assert task("same").delay(1).get(timeout=GET) == 1
    assert (job_of(runs).status, job_of(runs).losses, job_of(runs).last_error) == ("cancelled", 0, "Revoked: terminated")
    assert Attempt.objects.get(job=job_of(runs)).outcome == "cancelled"


def test_ids_are_the_callers_and_run_again_once_ended(tmp_path: Path) -> None:
    first = task("same").apply_async((1,), task_id="order 17/ä")
    task("same").apply_async((2,), task_id="order 17/ä")  # not ended: not run twice
    assert Job.objects.count() == 1
    with running_worker(tmp_path / "log"):
        assert first.get(timeout=GET) == 1
        task("same").apply_async((3,), task_id="order 17/ä")
        until(lambda: job_of(first).runs == 2 and job_of(first).status == "completed", timeout=GET)
        assert AsyncResult("order 17/ä").get(timeout=GET) == 3
        failing = task("raises").apply_async(task_id="twice")
        until(lambda: failing.state == "FAILURE", timeout=GET)
        task("raises").apply_async(task_id="twice")
        until(lambda: job_of(failing).runs == 2 and job_of(failing).status == "failed", timeout=GET)
        until(lambda: DeadLetterQueue.objects.filter(resolution="open").count() == 1, timeout=GET)
    assert DeadLetterQueue.objects.count() == 2


def test_states_of_ids_that_no_job_has() -> None:
    backend, unknown = current_app.backend, uuid()
    backend.store_result(unknown, {"step": 1}, "HALFWAY")
    assert (AsyncResult(unknown).state, AsyncResult(unknown).info) == ("HALFWAY", {"step": 1})
    backend.mark_as_failure(unknown, OutOfStock("kiwi", 0))
    with pytest.raises(OutOfStock):
        AsyncResult(unknown).get(timeout=1)
    backend.mark_as_revoked(unknown, "revoked")  # by a worker that was told while nobody knew of the failure
    assert AsyncResult(unknown).state == "FAILURE"
    AsyncResult(unknown).forget()
    assert AsyncResult(unknown).state == "PENDING"
    assert StoredResult.objects.count() == 0
    backend.store_result(unknown, 5, "SUCCESS")
    stored_over(unknown)
    assert AsyncResult(unknown).get(timeout=1) == 5
    waiting = task("same").apply_async((1,), countdown=600)
    task("same").update_state(task_id=waiting.id, state="QUEUED", meta={"place": 4})
    assert (waiting.state, waiting.info) == ("QUEUED", {"place": 4})
    assert job_of(waiting).status == "pending"


def stored_over(task_id: str) -> None:
    """Whatever may be stored by hand, each of it."""
    current_app.backend.store_result(task_id, 6, "SUCCESS")
    current_app.backend.store_result(task_id, OutOfStock("kiwi", 0), "FAILURE")
    current_app.backend.mark_as_revoked(task_id, "late")
    task("same").update_state(task_id=task_id, state="PROGRESS", meta={})


def test_no_state_stored_by_hand_replaces_a_success() -> None:
    """As in Celery; what is not kept, is forgotten or has failed is no success, until one is stored."""
    kept, forgotten, failed = (AsyncResult(job_in(status).task_id) for status in ("completed", "completed", "failed"))
    stored_over(kept.id)
    assert (kept.state, kept.get(timeout=1)) == ("SUCCESS", None)
    forgotten.forget()
    for result in (forgotten, failed):
        current_app.backend.store_result(result.id, 5, "SUCCESS")
        stored_over(result.id)
        assert (result.state, result.get(timeout=1)) == ("SUCCESS", 5)


def test_get_inside_the_transaction_that_enqueued_raises_at_once() -> None:
    with transaction.atomic():
        result = task("same").delay(1)
        started = time.monotonic()
        with pytest.raises(NotCommitted):
            result.get(timeout=60)
        assert time.monotonic() - started < 30
