"""Jobs in every state, moved there by the verbs of the store."""

import json
from typing import Any

from django.db import connection, transaction

from jobs import enqueue, masking
from jobs.models import Job
from jobs.store import interventions, search, transitions
from jobs.store.transitions import Failure, Run


def job_in(status: str, **options: Any) -> Job:
    """A job that was enqueued and then moved to this status."""
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, **options)
    run = Run(id=job.id, runs=1)
    with connection.cursor() as cursor:
        if status == "cancelled":
            assert interventions.cancel_pending(cursor, [job.id])
        elif status != "pending":
            assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        if status == "completed":
            assert transitions.complete(cursor, run, result="null")
        elif status == "failed":
            assert transitions.bury(cursor, run, Failure(error_class="ValueError", message="no"), task=job.task)
    return Job.objects.get(id=job.id)


def statuses() -> list[str]:
    """Of all jobs, in the order of their numbers."""
    return list(Job.objects.order_by("id").values_list("status", flat=True))


def are(status: str, *ids: int) -> bool:
    """Whether each of these jobs is in this status."""
    return Job.objects.filter(id__in=ids, status=status).count() == len(ids)


def inserted(task: str, args: Any = (), kwargs: Any = None) -> int:
    """The number of a job that another program has inserted: nobody looked at its arguments."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (task, args, kwargs) VALUES (%s, %s, %s) RETURNING id", [task, json.dumps(args), json.dumps(kwargs or {})]
        )
        return int(cursor.fetchone()[0])


def task_id_of(id: int) -> str:
    """The Celery id of the job with this number."""
    return str(Job.objects.values_list("task_id", flat=True).get(pk=id))


def index_everything() -> None:
    """Take the words of all jobs into the index."""
    with transaction.atomic(), connection.cursor() as cursor:
        while search.fill(cursor, masking.positional):
            pass


def open_gate(name: str) -> None:
    """Let `t.gate` end. Committed at once, whatever transaction the test has open."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(
                """INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff, is_active, date_joined)
                   VALUES (%s, '', '', '', '', false, false, true, now())""",
                [name],
            )
    finally:
        other.close()
