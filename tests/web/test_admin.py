"""What the admin says to its people: true reasons, and all of it in their language."""

import pytest
from django.test import Client

from jobs import dead_letters
from jobs.models import DeadLetterQueue, Job
from tests.rows import job_in

pytestmark = pytest.mark.django_db
JOBS, LETTERS = "/admin/jobs/job/", "/admin/jobs/deadletterqueue/"


def test_to_delete_a_job_with_an_open_dead_letter_is_refused_for_the_true_reason(sara: Client) -> None:
    job = job_in("failed")
    assert "permission" not in sara.get(f"{JOBS}{job.pk}/delete/").content.decode()
    answer = sara.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"}, follow=True).content.decode()
    assert "It has an open dead letter: reprocess or resolve it first." in answer
    dead_letters.resolve([DeadLetterQueue.objects.get().pk], by="sara", note="")
    assert "permission" not in sara.get(f"{JOBS}{job.pk}/delete/").content.decode()
    sara.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"})
    assert not Job.objects.exists()
