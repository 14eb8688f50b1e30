"""A run whose body nobody could end is retried or buried by the leader as its worker would have done."""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from jobs import enqueue
from jobs.celery_app import messages, retries
from jobs.models import Job
from jobs.store import deadline, transitions
from jobs.store.transitions import Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("headers", "autoretry", "end"),
    [
        ({}, True, "pending"),
        ({"retries_before": 2}, True, "pending"),
        ({"retries_before": 3}, True, "failed"),
        ({"retries_before": "3"}, True, "pending"),
        ({"other": ["retries_before"]}, True, "pending"),
        (["retries_before"], True, "pending"),
        ({}, False, "failed"),
    ],
)
def test_the_leader_counts_the_retries_that_the_worker_counts(headers: Any, autoretry: bool, end: str) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, max_retries=3)
    options = {"headers": headers}
    Job.objects.filter(id=job.id).update(options=options, autoretry=autoretry)
    row = messages.Row(job.id, job.task_id, job.task, "[]", "{}", 0, 0, 3, None, autoretry, json.dumps(options), 5)
    request = messages.parts(row, "celery", options)[0]
    assert (retries.pause(SimpleNamespace(**{"retries": 0} | request)) is None) is (end == "failed")
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.id, runs=1), task_id=job.task_id, worker=1, queue="celery", priority=5)
        found = deadline.time_out(cursor, Run(id=job.id, runs=1), rng=random.Random(0))
    assert found == deadline.TimedOut(task=job.task, buried=end == "failed")
    assert Job.objects.get(id=job.id).status == end


def test_a_message_that_python_cannot_read_says_nothing_of_retries() -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    with connection.cursor() as cursor:
        deep = '{"headers": {"retries_before": ' + "[" * 3000 + "]" * 3000 + "}}"
        cursor.execute("UPDATE jobs_job SET options = %s WHERE id = %s", [deep, job.id])
        assert transitions.claim(cursor, Run(id=job.id, runs=1), task_id=job.task_id, worker=1, queue="celery", priority=5)
        assert deadline.time_out(cursor, Run(id=job.id, runs=1), rng=random.Random(0))
        cursor.execute("SELECT status FROM jobs_job WHERE id = %s", [job.id])
        assert cursor.fetchone() == ("pending",)
