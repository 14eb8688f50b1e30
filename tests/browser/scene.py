"""Rows in every state for the pages to show, with a worker that lives as far as PostgreSQL knows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from jobs import batches, control, enqueue
from jobs.domain.actors import Actor, Source
from jobs.models import DeadLetterQueue, Job, Worker
from jobs.models.audit import Verb
from jobs.store import transitions
from jobs.store.engine import connect
from jobs.store.locks import LEADER, WORKER_CLASS
from jobs.store.transitions import Failure, Run
from tests.rows import job_in

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/.venv/lib/python3.11/site-packages/celery/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
                 ^^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/.venv/lib/python3.11/site-packages/celery/app/trace.py", line 736, in __protected_call__
    return self.run(*args, **kwargs)
  File "/srv/shop/orders/tasks.py", line 41, in invoice
    total = sum(line.price for line in order.lines)
ValueError: line 3 of order 4711 has no price
"""
LONG = "فاتورة الطلب رقم ٤٧١١ للعميل «شركة النور للتجارة والمقاولات» مع نسخة إلى قسم المحاسبة"

SARA = Actor(name="sara", source=Source.PAGE)
HISTORY = """
INSERT INTO jobs_job (task, status, run_at, started_at, finished_at, runs, worker)
SELECT 'jobs.tasks.sleep', CASE WHEN n % 11 = 0 THEN 'failed' ELSE 'completed' END, now() - n * interval '9 s' - (n % 40) * interval '1 s',
       now() - n * interval '9 s', now() - n * interval '9 s' + (n % 7) * interval '0.3 s', 1, 1 FROM generate_series(5, 390) n"""


@contextmanager
def played(slots: int = 4) -> Iterator[dict[str, int]]:
    """Jobs in every state; the numbers of one of each, by state. The locks of a worker and a leader are held meanwhile."""
    life = connect("scene")
    worker = Worker.objects.create(
        name="celery@host-1", hostname="host-1", pid=4711, pool="gevent", concurrency=slots, queues=["celery", "mail"],
        tasks=["jobs.tasks.sleep"], versions={"python": "3.11", "celery": "5.7"},
    )  # fmt: skip
    with life.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s), pg_try_advisory_lock(%s, %s)", [WORKER_CLASS, worker.id, *LEADER])
    try:
        yield _rows(worker.id)
    finally:
        life.close()


def _rows(worker: int) -> dict[str, int]:
    jobs = {
        "queued": enqueue("jobs.tasks.sleep", kwargs={"seconds": 5}, name=LONG, priority=9),
        "elsewhere": enqueue("jobs.tasks.send_email", kwargs={"to": "a@example.com", "subject": "x"}, queue="nobody-serves-this-queue"),
        "scheduled": enqueue("jobs.tasks.flaky", kwargs={"failures": 2}, delay=7200, name="Nightly report <b>&amp;"),
        "completed": job_in("completed", name="x" * 250),
        "cancelled": job_in("pending", name="Import"),
    }
    jobs["running"] = _claimed(worker, name="Send 4,000 invoices", priority=7)
    jobs["retrying"] = _claimed(worker, name="Flaky import", priority=2)
    failure = Failure(error_class="ValueError", message="line 3 of order 4711 has no price", traceback=TRACEBACK)
    with connection.cursor() as cursor:
        transitions.report_progress(cursor, Run(id=jobs["running"].id, runs=1), json.dumps({"fraction": 0.4, "message": "1,600 of 4,000"}))
        transitions.retry(cursor, Run(id=jobs["retrying"].id, runs=1), failure, delay=3600)
        for number in range(4):
            job = _claimed(worker, name=f"Invoice {number}")
            transitions.bury(cursor, Run(id=job.id, runs=1), failure, task=job.task)
            jobs["failed"] = job
        options = {"headers": {"parent_id": jobs["completed"].task_id, "root_id": "gone"}}
        cursor.execute("UPDATE jobs_job SET options = %s WHERE id = %s", [json.dumps(options), jobs["failed"].id])
        cursor.execute("UPDATE jobs_job SET created_at = created_at - interval '50 s' WHERE id = %s", [jobs["retrying"].id])
        cursor.execute("UPDATE jobs_job SET run_at = run_at - interval '54 h' WHERE id = %s", [jobs["elsewhere"].id])
        cursor.execute(HISTORY)
    control.change_priority([jobs["queued"].id, jobs["elsewhere"].id], 8, by=SARA)
    control.change_priority([jobs["scheduled"].id], 7, by=Actor(name="manage.py test_dead_letter_queue", source=Source.COMMAND))
    control.cancel([jobs["running"].id], by=Actor(name="ليلى", source=Source.ADMIN), reason="أُرسلت بالأمس")
    control.cancel([jobs["cancelled"].id], by=SARA, reason="The file of 23 November is wrong")
    for _ in range(2):
        job_in("failed", name=LONG)
    newest = DeadLetterQueue.objects.order_by("-id")
    DeadLetterQueue.objects.filter(id=newest[0].id).update(notify_error="no ADMIN_EMAILS", notify_after=None)
    DeadLetterQueue.objects.filter(id=newest[5].id).update(resolution="resolved", resolved_by="sara", note="أُصلحت البيانات")
    batches.confirm(batches.draft(Verb.QUEUE, [jobs["queued"].id, jobs["completed"].id], SARA).pk, SARA, queue="celery")
    batches.start(Verb.REPROCESS, list(newest.values_list("id", flat=True)[:3]), SARA, entries=True, pace=1, trial=True)
    batches.draft(Verb.DELETE, list(Job.objects.values_list("id", flat=True)[:20]), SARA)
    return {state: job.id for state, job in jobs.items()}


def _claimed(worker: int, **options: object) -> Job:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 60}, **options)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.id, runs=1), task_id=job.task_id, worker=worker, queue=job.queue, priority=job.priority)
    return job
