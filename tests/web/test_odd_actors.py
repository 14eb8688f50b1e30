"""What verbs are given by code: names, notes and priorities of any kind."""

from typing import Any

import pytest

from jobs import control, dead_letters
from jobs.models import Audit, DeadLetterQueue, Job
from tests.rows import job_in

pytestmark = pytest.mark.django_db
ODD = "a\0b\ud800"


def test_names_and_notes_that_postgresql_cannot_store_are_cleaned() -> None:
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    assert dead_letters.resolve([entry.pk], by=ODD, note=ODD).done == [entry.pk]
    entry.refresh_from_db()
    assert entry.resolved_by == entry.note == "a\ufffdb?"
    job = job_in("failed")
    assert control.reprocess([job.pk], by=ODD, reason=ODD).done == [job.pk]
    assert DeadLetterQueue.objects.get(job=job).resolved_by == "a\ufffdb?"
    assert {*Audit.objects.values_list("actor", "note")} == {("a\ufffdb?", "a\ufffdb?")}


@pytest.mark.parametrize("priority", [10, -1, 5.5, True, "9"])
def test_a_priority_that_no_job_may_have_is_refused_by_every_verb(priority: Any) -> None:
    waiting, failed = job_in("pending"), job_in("failed")
    with pytest.raises(ValueError, match="9"):
        control.change_priority([waiting.pk], priority, "sara")
    with pytest.raises(ValueError, match="9"):
        control.reprocess([failed.pk], "sara", priority=priority)
    assert list(Job.objects.order_by("id").values_list("status", "priority")) == [("pending", 5), ("failed", 5)]


def test_who_asked_first_for_a_cancel_stays_with_the_time_of_it() -> None:
    job = job_in("running")
    control.cancel([job.pk], "anna")
    first = Job.objects.get(pk=job.pk)
    control.cancel([job.pk], "ben")
    second = Job.objects.get(pk=job.pk)
    assert (second.cancel_requested_by, second.cancel_requested_at) == ("anna", first.cancel_requested_at)
