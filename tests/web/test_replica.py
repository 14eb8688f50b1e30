"""Pages may read a replica (`manage.py check` warns: jobs.W009); what decides reads the database that it writes to."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone

from jobs import batches, control, dead_letters, enqueue, enqueue_many, error_groups, steering
from jobs.domain.actors import Actor, Source
from jobs.models import DeadLetterQueue, Job, Worker
from jobs.models.audit import Verb
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.CODE)


class Replica:
    """To ask it fails: there is none."""

    def db_for_read(self, model: Any, **_hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "jobs" else None


def test_a_verb_reads_where_it_writes(settings: Any) -> None:
    jobs = {status: job_in(status) for status in ("pending", "running", "completed", "failed", "cancelled")}
    ids = {status: [job.pk] for status, job in jobs.items()}
    entry = DeadLetterQueue.objects.get()
    settings.DATABASE_ROUTERS = [Replica()]
    assert "replica" not in configured.DATABASES
    waits = [enqueue("jobs.tasks.sleep", args=[0]).pk, *enqueue_many("jobs.tasks.sleep", [([0], {})])]
    assert control.change_priority(waits, 7).done == waits
    assert control.change_queue(waits, "slow").done == waits
    assert control.cancel(waits, SARA).done == waits
    assert control.restore(waits, SARA).done == waits
    assert control.reprocess(ids["cancelled"], SARA).done == ids["cancelled"]
    assert control.fail_completed(ids["completed"], SARA).done == ids["completed"]
    assert control.foresee(Verb.DELETE, ids["failed"]).tasks == {}
    assert error_groups.own([entry.fingerprint], "sara", SARA) == [entry.fingerprint]
    assert dead_letters.resolve([entry.pk], SARA).done == [entry.pk]
    assert dead_letters.reopen([entry.pk], SARA).done == [entry.pk]
    assert dead_letters.notify([entry.pk], SARA).done == [entry.pk]
    assert dead_letters.reprocess([entry.pk], SARA).done == [entry.pk]
    draft = batches.draft(Verb.CANCEL, waits, SARA)
    assert batches.confirm(draft.pk, SARA)
    [back] = batches.undo(draft.pk, SARA)
    assert (back.done, batches.stop(back.pk, SARA), batches.go_on()) == (2, False, False)
    assert control.delete(control.cancel(waits, SARA).done, SARA).done == waits
    assert steering.drained([Worker(name="w@host", queues=[], started_at=timezone.now())]) == {}
    settings.DATABASE_ROUTERS = []
    assert set(Job.objects.filter(status="failed").values_list("pk", flat=True)) == set(ids["completed"])
