"""What was done to many jobs is taken back where that is possible; the taking back is an act like others, in the audit."""

import pytest
from django.db import connection
from django.test import Client

from jobs import batches, control, enqueue
from jobs.domain.actors import Actor, Source
from jobs.models import Audit, Batch, Job
from jobs.models.audit import Verb
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.PAGE)


def done(verb: Verb, jobs: list[int], **options: object) -> Batch:
    batch = batches.draft(verb, jobs, SARA)
    assert batches.confirm(batch.pk, SARA, **options)
    return batch


def values(name: str) -> list[object]:
    return list(Job.objects.order_by("id").values_list(name, flat=True))


def test_cancelled_jobs_wait_again_but_not_those_that_were_not_waiting() -> None:
    later = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=3600)
    jobs = [job_in("pending").id, job_in("pending").id, job_in("running").id, later.id]
    earlier = job_in("cancelled").id
    batch = done(Verb.CANCEL, [*jobs, earlier])
    control.reprocess([jobs[1]], by="omar")
    control.cancel([jobs[1]], by="omar")
    [back] = batches.undo(batch.pk, Actor(name="leila", source=Source.PAGE))
    assert values("status") == ["cancelled", "pending", "cancelled", "running", "cancelled"]
    back.refresh_from_db()
    assert (back.verb, back.ids, back.done, back.state) == ("reprocess", [jobs[0]], 1, "done")
    assert str(batch.pk) in back.remark
    record = Audit.objects.filter(actor="leila").get()
    assert (record.job, record.verb, record.before["status"], record.after["status"]) == (jobs[0], "reprocess", "cancelled", "pending")
    assert batches.undo(batch.pk, SARA) == []


def test_priorities_and_queues_come_back_each_to_its_own() -> None:
    jobs = [job_in("pending", priority=priority, queue=queue).id for priority, queue in ((1, "a"), (1, "b"), (3, "b"), (9, "c"))]
    first = done(Verb.PRIORITY, jobs, priority=9)
    assert len(batches.undo(first.pk, SARA)) == 2
    assert values("priority") == [1, 1, 3, 9]
    second = done(Verb.QUEUE, jobs, queue="z")
    control.change_queue([jobs[3]], "mine", by="omar")
    batches.undo(second.pk, SARA)
    assert values("queue") == ["a", "b", "b", "mine"]


def test_what_cannot_be_taken_back_says_so(admin_client: Client) -> None:
    job = job_in("failed").id
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_deadletterqueue")
    batch = done(Verb.DELETE, [job])
    assert batches.undo(batch.pk, SARA) == []
    assert b'id="undo"' not in admin_client.get(f"/jobs/batches/{batch.pk}/").content
    assert admin_client.post(f"/jobs/batches/{batch.pk}/undo/").status_code in (302, 403)
    assert Batch.objects.count() == 1


def test_the_button_of_the_page(admin_client: Client) -> None:
    batch = done(Verb.CANCEL, [job_in("pending").id])
    assert b'id="undo"' in admin_client.get(f"/jobs/batches/{batch.pk}/").content
    answer = admin_client.post(f"/jobs/batches/{batch.pk}/undo/")
    back = Batch.objects.latest("id")
    assert answer.headers["Location"] == f"/jobs/batches/{back.pk}/"
    assert values("status") == ["pending"]
    assert admin_client.get(f"/jobs/batches/{batch.pk}/undo/").status_code == 405
