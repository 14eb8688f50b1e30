"""A job that somebody has run again runs, whatever the workers remember of it; what comes afterwards counts as for any other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from celery.worker import state
from kombu import Connection
from kombu.message import Message

from jobs import control
from jobs.celery_app import process_engine, settle
from jobs.celery_app.request import Request
from jobs.models import Job
from jobs.store.transitions import Run
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from tests.flows import GET, job_of, task
from tests.green_engine import WORKER
from tests.rows import job_in
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
PAST = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_a_job_that_expired_or_was_revoked_runs_again(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool):
        sent = [task("add").apply_async((1, 2), expires=PAST), task("add").apply_async((1, 2), countdown=600)]
        long = task("nap").apply_async((60,), countdown=600)
        for result in (sent[1], long):
            result.revoke()
        until(lambda: {job_of(result).status for result in (*sent, long)} == {"cancelled"}, timeout=GET)
        until(lambda: all(result.id in (tmp_path / "log").read_text().split("flagged as revoked", 1)[-1] for result in (sent[1], long)))
        numbers = [job_of(result).id for result in (*sent, long)]
        assert control.reprocess(numbers, "sara").done == numbers
        until(lambda: [job_of(result).status for result in (*sent, long)] == ["completed", "completed", "running"], timeout=GET)
        long.revoke(terminate=True)
        until(lambda: job_of(long).status == "cancelled", timeout=GET, what="another revocation holds")
    assert [job_of(result).result for result in sent] == [3, 3]


def test_what_is_run_again_expires_no_more_and_its_old_message_is_void() -> None:
    job = job_in("cancelled")
    options = {"headers": {"expires": PAST.isoformat(), "group": None}, "embed": {"errbacks": "\0"}}
    Job.objects.filter(id=job.id).update(options=options)
    assert control.reprocess([job.id], "sara").done == [job.id]
    job.refresh_from_db()
    assert (job.status, job.runs) == ("pending", 1)
    assert job.options == {"headers": {"group": None}, "embed": {"errbacks": "\0"}}


@pytest.mark.parametrize("options", [None, ["expires"], {"headers": None}, {"expires": {"headers": {}}}, {"headers": {"a": 1}}])
def test_the_rest_of_a_message_without_such_a_time_stays(options: Any) -> None:
    job = job_in("cancelled")
    Job.objects.filter(id=job.id).update(options=options)
    assert control.reprocess([job.id], "sara").done == [job.id]
    assert Job.objects.get(id=job.id).options == options


@pytest.fixture
def engine() -> Iterator[PlainEngine]:
    made = PlainEngine(Registration(WORKER | {"pool": "prefork"}))
    process_engine.use(made)
    yield made
    process_engine.use(None)
    made.registration.leave()
    made.close()
    state.revoked.clear()
    state.revoked_stamps.clear()


def request_of(job: Job, **headers: Any) -> Request:
    """As a worker makes it of the job's message."""
    values = {"id": job.task_id, "task": "t.same", "job_id": job.id, "runs": 1} | headers
    channel = Connection("memory://").channel()
    message = Message("[[1], {}, {}]", channel=channel, headers=values, content_type="application/json", content_encoding="utf-8")
    return Request(message, app=current_app._get_current_object(), hostname="h")


@pytest.mark.usefixtures("engine")
def test_a_worker_forgets_what_was_revoked_before_the_act_and_once() -> None:
    job = job_in("cancelled")
    state.revoked.add(job.task_id)
    control.reprocess([job.id], "sara")
    assert not request_of(job).revoked()
    assert job.task_id not in state.revoked
    state.revoked.add(job.task_id)
    again = request_of(job)
    assert again.revoked()
    assert again.revoked(), "the same to whoever asks next"
    assert Job.objects.get(id=job.id).status == "cancelled"
    control.reprocess([job.id], "sara")
    assert not request_of(job).revoked(), "another act"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("run_again", [True, False])
def test_the_same_for_what_was_revoked_by_its_stamps(*, run_again: bool) -> None:
    job = job_in("cancelled" if run_again else "pending")
    state.revoked_stamps["customer"] = ["7"]
    if run_again:
        control.reprocess([job.id], "sara")
    stamped = {"stamped_headers": ["customer"], "stamps": {"customer": "7"}}
    late = request_of(job, **stamped, expires=PAST.isoformat())
    assert request_of(job, **stamped).revoked() is not run_again
    assert not request_of(job, stamped_headers=["order"], stamps={"order": "7"}).revoked()
    assert late.revoked(), "a time that a retry has given it"
    assert Job.objects.get(id=job.id).status == "cancelled"


@pytest.mark.usefixtures("engine")
def test_a_message_from_before_a_run_cancels_nothing() -> None:
    job = job_in("pending")
    Job.objects.filter(id=job.id).update(runs=1, attempts=1)
    settle.revoked(Run(id=job.id, runs=1), "expired")
    assert Job.objects.get(id=job.id).status == "pending"
    settle.revoked(Run(id=job.id, runs=2), "expired")
    assert Job.objects.get(id=job.id).status == "cancelled"
