"""Ids that were revoked before a job had them: whoever is called with one is cancelled, and whoever is not pays nothing for it.

And the signal of a revocation.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, current_app, group
from celery.bin.celery import celery
from celery.exceptions import ChordError, TaskRevokedError
from celery.result import AsyncResult, allow_join_result
from click.testing import CliRunner
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import control
from jobs.leader import election, look
from jobs.leader.rescue import Rescue
from jobs.models import Aftermath, Job
from jobs.store import results, transitions
from jobs.store.transitions import Failure, Run
from tests.flows import GET, job_of, s, task
from tests.rows import job_in, open_gate
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
BROKEN = Failure(error_class="ValueError", message="no")
WAYS: dict[str, Callable[[str], Any]] = {
    "a call": lambda id: task("told_of").apply_async((1,), task_id=id),
    "a name": lambda id: current_app.send_task("t.told_of", (1,), task_id=id),
    "a link": lambda id: chain(s("same", 1), s("told_of").set(task_id=id)).apply_async(),
    "the first of a chain": lambda id: chain(s("told_of", 1).set(task_id=id), s("add_one")).apply_async(),
    "one of a group": lambda id: group(s("same", 1), s("told_of", 1).set(task_id=id)).apply_async(),
    "one of a group that is streamed": lambda id: chord((s("told_of", 1).set(task_id=each) for each in [id]), s("total")).apply_async(),
    "a header task": lambda id: chord([s("same", 1), s("told_of", 1).set(task_id=id)], s("total")).apply_async(),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def test_a_call_with_an_id_that_was_revoked_does_not_run(tmp_path: Path) -> None:
    for way in WAYS:
        AsyncResult(way).revoke()
    sent = {way: send(way) for way, send in WAYS.items()}
    with running_worker(tmp_path / "log"):
        for way in WAYS:
            until(lambda way=way: Job.objects.filter(task_id=way, status="cancelled").exists(), timeout=GET, what=way)  # type: ignore[misc]
            with pytest.raises(TaskRevokedError):
                AsyncResult(way).get(timeout=GET)
        for way in ("a header task", "one of a group that is streamed"):
            with pytest.raises(ChordError, match="TaskRevokedError"):
                sent[way].get(timeout=GET, follow_parents=False)
        until(lambda: get_user_model().objects.filter(username__startswith="revoked").count() == len(WAYS), timeout=GET)
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    assert set(Job.objects.filter(task="t.told_of").values_list("status", "runs", "last_error")) == {("cancelled", 0, "Revoked: revoked")}


def test_it_holds_for_each_call_with_the_id() -> None:
    AsyncResult("mine").revoke()
    for _ in range(2):
        assert job_of(task("same").apply_async((1,), task_id="mine")).status == "cancelled"
    with transaction.atomic():
        assert job_of(task("same").apply_async((1,), task_id="mine")).status == "cancelled"
    assert job_of(task("same").apply_async((1,), task_id="another")).status == "pending"


def test_it_holds_for_the_id_of_a_call_that_was_rolled_back() -> None:
    with suppress(LookupError), transaction.atomic():
        sent = task("same").apply_async((1,), priority=3)
        raise LookupError
    sent.revoke()
    assert job_of(task("same").apply_async((1,), task_id=sent.id)).status == "cancelled"


def test_a_call_is_one_statement_that_asks_only_for_an_id_of_the_callers() -> None:
    task("same").apply_async((1,), priority=3)  # what is made once
    with CaptureQueriesContext(connection) as fresh:
        task("same").apply_async((1,), priority=3, countdown=None)
    with CaptureQueriesContext(connection) as own:
        task("same").apply_async((1,), priority=3, task_id="mine")
    assert [("jobs_storedresult" in query["sql"]) for query in (*fresh, *own)] == [False, True]


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_the_signal_of_a_revocation_is_sent_once_whenever_it_came(tmp_path: Path, pool: str) -> None:
    """Also for a job that no worker had seen, and for a link of a chain that was no job yet."""
    told = task("told_of")
    early, never = told.apply_async((1,), countdown=600), chain(s("same", 2), told.s()).apply_async()
    expired = told.apply_async((3,), expires=timezone.now() - timedelta(seconds=5))
    headed = chord([told.si(4).set(countdown=600), s("same", 1)], s("total")).apply_async()
    early.revoke()
    never.revoke()
    headed.parent.results[0].revoke()
    log = tmp_path / "log"
    with running_worker(log, pool=pool, slots=2):
        until(lambda: get_user_model().objects.filter(username__startswith="revoked").count() >= 4, timeout=GET)
        with pytest.raises(ChordError, match=r"TaskRevokedError\('revoked'\)"):
            headed.get(timeout=GET, follow_parents=False)
        gates = [task("gate").delay("open") for _ in range(2)]
        until(lambda: [job_of(gate).status for gate in gates] == ["running"] * 2, timeout=GET)
        queued, before = told.delay(5), "revoked before"
        queued.revoke()
        AsyncResult(before).revoke()
        until(lambda: all(id.encode() in log.read_bytes() for id in (queued.id, before)), timeout=GET)  # this worker remembers them
        told.apply_async((6,), task_id=before)
        open_gate("open")
        assert task("same").delay(7).get(timeout=GET) == 7  # it came behind them
        until(lambda: get_user_model().objects.filter(username__startswith="revoked").count() == 6, timeout=GET)
    assert b"Signal handler" not in log.read_bytes()  # it fails when it is called a second time
    wanted = [(early.id, [1], False), (never.id, [2], False), (expired.id, [3], True), (headed.parent.results[0].id, [4], False)]
    wanted += [(queued.id, [5], False), (before, [6], False)]
    found = sorted(get_user_model().objects.filter(username__startswith="revoked").values_list("username", flat=True))
    assert found == sorted(f"revoked {id} {args} False None {late}" for id, args, late in wanted)


NEXT: dict[str, Callable[[Any, Run], bool]] = {
    "retry": lambda cursor, run: transitions.retry(cursor, run, BROKEN, delay=0.0),
    "release": lambda cursor, run: transitions.release(cursor, run),
    "rescue": lambda cursor, run: transitions.lose(cursor, run, BROKEN),
    "replace": lambda cursor, run: transitions.replace(cursor, run),
}  # fmt: skip


@pytest.mark.parametrize("verb", NEXT)
def test_what_is_revoked_while_it_runs_goes_on_and_is_not_run_again(verb: str) -> None:
    """Whether or not a worker that remembers it is there then."""
    job = job_in("running")
    run = Run(id=job.id, runs=1)
    AsyncResult(job.task_id).revoke()
    job.refresh_from_db()
    assert (job.status, job.cancel_requested_at, Aftermath.objects.count()) == ("running", None, 0)
    with connection.cursor() as cursor:
        assert NEXT[verb](cursor, run)
        found = results.read(cursor, [job.task_id])[job.task_id]
    assert (found.status, found.last_error, found.revoked) == ("cancelled", "Revoked: revoked", True)
    assert Aftermath.objects.get().job == job.id, "a worker sends the signal of it"
    assert AsyncResult(job.task_id).state == "REVOKED"
    assert control.reprocess([job.id], "sara").done == [job.id]
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.id, runs=2), task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        assert transitions.retry(cursor, Run(id=job.id, runs=2), BROKEN, delay=0.0)
    job.refresh_from_db()
    assert job.status == "pending", "a person wants it to run"


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_the_end_of_what_was_revoked_while_it_ran_is_its_own(end: str) -> None:
    job = job_in("running")
    AsyncResult(job.task_id).revoke()
    with connection.cursor() as cursor:
        if end == "completed":
            assert transitions.complete(cursor, Run(id=job.id, runs=1), result="1")
        else:
            assert transitions.bury(cursor, Run(id=job.id, runs=1), BROKEN, task=job.task)
        found = results.read(cursor, [job.task_id])[job.task_id]
    assert (found.status, found.revoked) == (end, False)


@pytest.fixture
def leader() -> Iterator[Callable[[], bool]]:
    """Looks once; whether there is anything to look for after it."""
    session = election.connect()
    assert election.elect(session, threading.Event())
    rescue = Rescue(session, again=False)

    def looks() -> bool:
        with session.cursor() as cursor:
            rescue.look(look.look(cursor, set()))
            return look.look(cursor, set()).revoked

    yield looks
    session.close()


def elsewhere(act: Callable[[], Any]) -> None:
    """Over another connection."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()  # that of the thread

    with ThreadPoolExecutor(1) as threads:
        threads.submit(run).result(GET)


@pytest.mark.parametrize("own_id", ["mine", None])
def test_what_is_revoked_before_its_call_is_committed_is_cancelled(leader: Callable[[], bool], own_id: str | None) -> None:
    assert not leader()
    with transaction.atomic():
        sent = task("same").apply_async((1,), countdown=600, **({"task_id": own_id} if own_id else {}))
        elsewhere(sent.revoke)
        assert leader(), "whoever has not seen the revocation may still bring a job"
        assert leader()
    assert job_of(sent).status == "pending"
    leader()
    assert (job_of(sent).status, job_of(sent).last_error) == ("cancelled", "Revoked: revoked")
    assert Aftermath.objects.get().job == job_of(sent).id
    assert control.reprocess([job_of(sent).id], "sara").done
    assert not leader()
    assert job_of(sent).status == "pending", "a person wants it to run"


def test_nobody_is_looked_for_when_no_older_transaction_is_open(leader: Callable[[], bool]) -> None:
    AsyncResult("nobody").revoke()
    with transaction.atomic():
        task("same").apply_async((1,), priority=3)
        leader()  # it may be one that has not seen the revocation
        assert leader()
    assert not leader()
    assert AsyncResult("nobody").state == "REVOKED"
    assert job_of(task("same").apply_async((1,), task_id="nobody")).status == "cancelled"


def test_one_that_somebody_keeps_locked_is_cancelled_afterwards(leader: Callable[[], bool]) -> None:
    with transaction.atomic():
        sent = task("same").apply_async((1,), countdown=600)
        elsewhere(sent.revoke)
    with transaction.atomic():
        assert Job.objects.select_for_update().get(task_id=sent.id).status == "pending"
        assert leader()
    assert not leader()
    assert job_of(sent).status == "cancelled"


def by_command(*command: str) -> None:
    """As in a shell; nobody answers, for no worker lives."""
    result = CliRunner().invoke(celery, ["-A", "task_queue_project", "control", "--timeout", "0.01", *command])
    assert "No nodes replied" in result.output


def test_the_command_is_kept_as_well() -> None:
    """It knows none of the methods that others call."""
    waits, runs, stamped, other = job_in("pending"), job_in("running"), s("same", 1), job_in("pending")
    stamped.stamp(tenant="acme")
    by_stamp = stamped.apply_async()
    by_command("revoke", waits.task_id, "nobody-has-this-id")
    by_command("terminate", "SIGTERM", runs.task_id)
    by_command("revoke_by_stamped_headers", "tenant=acme")
    for job in (waits, runs, other):
        job.refresh_from_db()
    assert (waits.status, by_stamp.state, other.status) == ("cancelled", "REVOKED", "pending")
    assert (runs.status, runs.cancel_requested_by) == ("running", "revoke")
    assert AsyncResult("nobody-has-this-id").state == "REVOKED"


@contextmanager
def heard(kind: str) -> Iterator[list[dict[str, Any]]]:
    """The events of this kind that workers send meanwhile."""
    events: list[dict[str, Any]] = []
    with current_app.connection_for_read() as link:
        receiver = current_app.events.Receiver(link, handlers={kind: events.append})
        hears = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        hears.start()
        try:
            yield events
        finally:
            receiver.should_stop = True
            hears.join(GET)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_run_that_was_terminated_in_a_thread_is_told_of(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", "-E", pool=pool, slots=1 if pool == "solo" else 2), heard("task-revoked") as events:
        runs = task("told_of_long").delay()
        until(lambda: job_of(runs).status == "running", timeout=GET)
        runs.revoke(terminate=True)
        with pytest.raises(TaskRevokedError, match=r"^terminated$"):
            runs.get(timeout=GET)
        until(lambda: get_user_model().objects.filter(username=f"revoked {runs.id} [] True 15 False").exists(), timeout=GET)
        until(lambda: [(event["uuid"], event["terminated"]) for event in events] == [(runs.id, True)], timeout=GET)
    assert get_user_model().objects.filter(username__startswith="revoked").count() == 1
    assert job_of(runs).last_error == "Revoked: terminated"
