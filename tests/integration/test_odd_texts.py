"""Texts that JSON may hold and that PostgreSQL cannot look into: every verb moves a job whose message or progress has one."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from celery import chain, current_app
from django.db import connection

from jobs import enqueue
from jobs.models import DeadLetterQueue, Job
from jobs.store import deadline, interventions, transitions
from jobs.store.transitions import STOPPED, Failure, Run
from jobs.worker import inspection

pytestmark = pytest.mark.django_db(transaction=True)
ODD = ["a\0b", "\ud800"]
_RUNS = "UPDATE jobs_job SET status = 'running', runs = 9, attempts = 9, worker = 1, started_at = now() WHERE id = %s"
FAILURE = Failure(error_class="ValueError", message="no")


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def linked(text: str, **stamps: Any) -> Job:
    """A job whose message has the text in the next link of its chain."""
    same = current_app.tasks["t.same"]
    sent = chain(same.s("x"), same.si(text))
    if stamps:
        sent.stamp(**stamps)
    return Job.objects.get(task_id=sent.apply_async(countdown=1000).parent.id)


ENDS: dict[str, tuple[str, Callable[[Any, Run], Any], str]] = {
    "cancel": ("pending", lambda cursor, run: interventions.cancel_pending(cursor, [run.id]), "cancelled"),
    "revoke": ("pending", lambda cursor, run: interventions.revoke(cursor, [run.id]), "cancelled"),
    "cancel a run": ("running", lambda cursor, run: transitions.cancel_running(cursor, run, STOPPED), "cancelled"),
    "bury": ("running", lambda cursor, run: transitions.bury(cursor, run, FAILURE, task="t.same"), "failed"),
    "time out": ("running", lambda cursor, run: deadline.time_out(cursor, run, rng=random.Random(0)), "failed"),
}


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("verb", ENDS)
def test_a_job_with_an_odd_text_in_a_link_ends(verb: str, text: str) -> None:
    job = linked(text)
    status, act, end = ENDS[verb]
    with connection.cursor() as cursor:
        if status == "running":
            cursor.execute(_RUNS, [job.id])
        act(cursor, Run(id=job.id, runs=9 if status == "running" else 0))
        cursor.execute("SELECT count(*) FROM jobs_aftermath WHERE job_id = %s", [job.id])
        assert cursor.fetchone() == (1,), "its chain is to be told"
    job.refresh_from_db()
    assert job.status == end


def test_the_dead_letter_queue_is_tried_with_a_job_that_has_odd_options_and_no_links() -> None:
    job = enqueue("t.add", args=[1, 2])
    Job.objects.filter(pk=job.pk).update(status="completed", finished_at=job.created_at, options={"headers": {"note": "a\0b"}})
    with connection.cursor() as cursor:
        assert interventions.bury_completed(cursor, job.pk, FAILURE, task=job.task)
        Job.objects.filter(pk=linked("x").pk).update(status="completed", finished_at=job.created_at)
        assert not interventions.bury_completed(cursor, Job.objects.latest("pk").pk, FAILURE, task=job.task)
    assert DeadLetterQueue.objects.get().job_id == job.pk


@pytest.mark.parametrize("text", ODD)
def test_a_revocation_by_stamps_finds_jobs_beside_odd_ones_and_odd_ones(text: str) -> None:
    wanted = [linked("plain", team="a"), linked(text, team="a"), linked(text, team=["b", "a"]), linked(text, team=7)]
    others = [linked(text, team="b"), linked(text), linked(text, other="a"), linked(f'"stamps" {text}')]
    current_app.control.revoke_by_stamped_headers({"team": ["a", "7"]})
    assert set(Job.objects.filter(status="cancelled").values_list("pk", flat=True)) == {job.pk for job in wanted}
    assert Job.objects.filter(status="pending").count() == len(others)


@pytest.mark.parametrize("text", ODD)
def test_celery_inspect_tells_of_odd_jobs(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same = current_app.tasks["t.same"]
    for options in ({"priority": 3}, {}):
        same.apply_async((text,), countdown=1000, link=same.si(text), **options)
    enqueue("t.same", args=["x"], delay=1000, priority=7)

    class Engine:
        def write(self, change: Any) -> Any:
            with connection.cursor() as cursor:
                return change(cursor)

    monkeypatch.setattr(inspection.process_engine, "current", Engine)
    state = type("State", (), {"app": current_app, "hostname": "a@b"})
    current_app.amqp.queues.select(["celery"])
    found = sorted(inspection._waiting(state), key=lambda one: one[1]["delivery_info"]["priority"])
    assert [one["delivery_info"]["priority"] for _eta, one in found] == [0, 3, 7]
