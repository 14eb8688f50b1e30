"""A bulk action holds up no other, nor its own stop: not while it looks for its trial, and not where somebody keeps a job locked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from jobs import batches
from jobs.domain.actors import Actor, Source
from jobs.models import Batch, DeadLetterQueue, Job
from jobs.models.audit import Verb
from jobs.models.batch import BatchState
from jobs.store import engine
from tests.rows import job_in
from tests.waiting import until

SARA = Actor(name="sara", source=Source.CODE)


@contextmanager
def locked(number: int, table: str = "jobs_job") -> Iterator[None]:
    """The row with this number, by another session."""
    other = engine.connect("holds a row")
    try:
        with other.cursor() as cursor:
            cursor.execute(f"BEGIN; SELECT FROM {table} WHERE id = %s FOR UPDATE", [number])
            yield
    finally:
        other.close()


def state(batch: Batch) -> tuple[str, int]:
    return Batch.objects.values_list("state", "place").get(pk=batch.pk)


@pytest.mark.django_db
def test_a_trial_is_looked_for_some_jobs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    jobs = [job_in(status).id for status in ["completed"] * 5 + ["cancelled"] * 2]
    batch = batches.start(Verb.REPROCESS, jobs, SARA, trial=True)
    for place in (2, 4):
        assert batches.go_on(), "another step is due at once"
        assert state(batch) == (BatchState.TRIAL, place)
    assert not batches.go_on()
    assert state(batch) == (BatchState.TRIAL, 6)
    assert Batch.objects.get().trial_job == jobs[5]
    nothing = batches.start(Verb.REPROCESS, jobs[:4], SARA, trial=True)
    assert [batches.go_on(), batches.go_on()] == [True, False]
    assert state(nothing) == (BatchState.DONE, 4)


@pytest.mark.django_db
@pytest.mark.parametrize("trial", [False, True])
def test_an_act_that_may_not_be_any_more_is_stopped(settings: Any, trial: bool) -> None:
    """It was accepted where more was allowed: by another process, or before a restart."""
    job_in("failed")
    entries = list(DeadLetterQueue.objects.values_list("pk", flat=True))
    batch = batches.start(Verb.REPROCESS, entries, SARA, entries=True, trial=trial, arguments={"seconds": "x" * 100})
    settings.JOBS_MAX_ARGUMENT_BYTES = 50
    assert not batches.go_on()
    assert state(batch) == (BatchState.STOPPED, 0)
    assert "JOBS_MAX_ARGUMENT_BYTES (50 " in Batch.objects.get().remark
    assert Job.objects.get().status == "failed"


@pytest.mark.django_db(transaction=True)
def test_an_act_that_meets_a_lock_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c = [job_in("pending", priority=5).id for _ in range(3)]
    first, second = batches.start(Verb.PRIORITY, [a, b], SARA, priority=1), batches.start(Verb.CANCEL, [c], SARA)
    tried, step = [], batches._step
    monkeypatch.setattr(batches, "_step", lambda pk: tried.append(pk) or step(pk))
    with locked(a):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20s'")
        batches.go_on()
        batches.go_on()
        assert (state(first), state(second)) == ((BatchState.RUNNING, 0), (BatchState.DONE, 1))
        assert tried == [first.pk, second.pk], "it does not wait for the same lock again at once"
        assert Job.objects.filter(priority=1).count() == 0, "all of a step or nothing"
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("20s",)
            cursor.execute("RESET lock_timeout")
    until(lambda: not batches.go_on() and state(first) == (BatchState.DONE, 2), timeout=30, what="the act goes on")
    assert Job.objects.filter(priority=1).count() == 2


@pytest.mark.django_db(transaction=True)
def test_an_act_that_somebody_else_moves_is_left_to_him(caplog: pytest.LogCaptureFixture) -> None:
    act = batches.start(Verb.CANCEL, [job_in("pending").id], SARA)
    with locked(act.pk, "jobs_batch"):
        assert not batches.go_on()
        assert (state(act), caplog.text) == ((BatchState.RUNNING, 0), "")
    until(lambda: not batches.go_on() and state(act) == (BatchState.DONE, 1), timeout=30, what="the act goes on")
