"""What one click did by mistake is taken back: the cancelling of a job, and the closing of a dead letter."""

import pytest
from django.db import connection
from django.test import Client

from jobs import control, dead_letters, enqueue
from jobs.models import Audit, DeadLetterQueue, Job
from jobs.store import transitions
from jobs.store.transitions import Failure, Run
from tests.rows import job_in

pytestmark = pytest.mark.django_db
JOBS, LETTERS = "/admin/jobs/job/", "/admin/jobs/deadletterqueue/"


def test_a_cancelling_by_mistake_is_taken_back_with_its_time(sara: Client) -> None:
    """One click cancels; one more lets the job wait for its time again, and the page says that reprocessing would not."""
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=5 * 86_400)
    before = Job.objects.filter(pk=job.pk).values().get()
    page = sara.post(f"/jobs/{job.pk}/cancel/", follow=True).content.decode()
    assert ('id="restore"' in page, "If you reprocess it, it runs at once; if you undo the cancellation, it waits" in page) == (True, True)
    page = sara.post(f"/jobs/{job.pk}/restore/", {"reason": "the wrong one"}, follow=True).content.decode()
    assert ("1 job was put back as it was." in page, 'id="restore"' in page) == (True, False)
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert Audit.objects.values_list("verb", "note").latest("id") == ("restore", "the wrong one")
    assert f"Job {job.pk} was left as it is" in sara.post(f"/jobs/{job.pk}/restore/", follow=True).content.decode()
    sara.post(JOBS, {"action": "cancel_jobs", "_selected_action": [job.pk]})
    sara.post(JOBS, {"action": "restore_jobs", "_selected_action": [job.pk]})
    assert Job.objects.filter(pk=job.pk).values().get() == before


def test_only_a_person_s_cancelling_of_a_job_that_waited_is_offered_to_be_taken_back(sara: Client) -> None:
    waited, ran, revoked = job_in("pending"), job_in("running"), job_in("cancelled")
    for job in (waited, ran):
        sara.post(f"/jobs/{job.pk}/cancel/")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET status = 'cancelled', finished_at = now() WHERE id = %s", [ran.pk])
    pages = [sara.get(f"/jobs/{job.pk}/").content.decode() for job in (waited, ran, revoked)]
    assert ['id="restore"' in page for page in pages] == [True, False, False]
    assert "It was due at" not in pages[0], "it is due now, whichever button is pressed"


def test_what_was_resolved_by_mistake_is_opened_again(sara: Client) -> None:
    job = job_in("failed")
    entry = DeadLetterQueue.objects.get()
    before = DeadLetterQueue.objects.values().get() | {"notify_after": None}
    button = b'name="action" value="reopen"'
    assert button not in sara.get("/jobs/dead-letters/").content
    for reopen in (
        lambda: sara.post("/jobs/dead-letters/act/", {"action": "reopen", "entry": [entry.pk], "note": "the wrong one"}, follow=True),
        lambda: sara.post(LETTERS, {"action": "reopen_entries", "_selected_action": [entry.pk], "reason": "the wrong one"}, follow=True),
    ):
        dead_letters.resolve([entry.pk], by="omar", note="known")
        page = sara.get("/jobs/dead-letters/?show=resolved").content
        assert (button in page, b'value="resolve"' in page) == (True, False)
        assert "1 entry is open again." in reopen().content.decode()
        assert DeadLetterQueue.objects.values().get() == before
        record = Audit.objects.latest("id")
        assert (record.verb, record.job, record.note) == ("reopen", job.pk, "the wrong one")
        assert (record.before, record.after) == ({"entry": "resolved"}, {"entry": "open"})
        assert "1 entry was left as it is" in reopen().content.decode()


def test_an_entry_whose_job_went_on_stays_resolved(sara: Client) -> None:
    """Reprocessed it may fail once more: that has an entry of its own, and the older one is past."""
    job = job_in("failed")
    entry = DeadLetterQueue.objects.get().pk
    dead_letters.resolve([entry], by="omar")
    assert control.reprocess([job.pk], by="omar").done == [job.pk]
    assert dead_letters.reopen([entry], by="omar").refused == {entry: "not resolved"}
    run = Run(id=job.pk, runs=2)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        assert transitions.bury(cursor, run, Failure(error_class="ValueError", message="no"), task=job.task)
    page = sara.post("/jobs/dead-letters/act/", {"action": "reopen", "entry": [entry]}, follow=True).content.decode()
    assert f"1 entry was left as it is (job {job.pk}). It is no longer resolved, or its job is no longer failed." in page
    newer = DeadLetterQueue.objects.latest("pk").pk
    dead_letters.resolve([newer], by="omar")
    assert dead_letters.reopen([entry, newer], by="omar").done == [newer]


def test_the_previews_say_what_can_be_taken_back(sara: Client) -> None:
    job = job_in("failed")
    assert b"This cannot be undone." in sara.get("/jobs/dead-letters/reprocess/").content
    assert b"A resolved entry can be opened again as long as its job stays failed." in sara.get("/jobs/dead-letters/resolve/").content
    pages = {verb: sara.post("/jobs/bulk/", {"verb": verb, "job": job.pk}, follow=True).content for verb in ("reprocess", "cancel")}
    assert [b"This cannot be undone." in page for page in pages.values()] == [True, False]
