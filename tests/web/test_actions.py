"""What people do with jobs and dead letters, from the pages and from the admin."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs.models import DeadLetterQueue, Job
from tests.rows import job_in

pytestmark = pytest.mark.django_db
JOBS, LETTERS = "/admin/jobs/job/", "/admin/jobs/deadletterqueue/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    return client


def act(client: Client, address: str, action: str, ids: list[int], **more: Any) -> str:
    answer = client.post(address, {"action": action, "_selected_action": ids, **more}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def statuses() -> list[str]:
    return list(Job.objects.order_by("id").values_list("status", flat=True))


def test_the_page_cancels_reorders_and_reprocesses(staff: Client) -> None:
    waiting, failed = job_in("pending"), job_in("failed")
    assert staff.post(f"/jobs/{waiting.id}/priority/", {"priority": "9"}).status_code == 302
    assert Job.objects.get(id=waiting.id).priority == 9
    assert staff.post(f"/jobs/{waiting.id}/priority/", {"priority": "10"}).status_code == 422
    staff.post(f"/jobs/{waiting.id}/cancel/")
    staff.post(f"/jobs/{failed.id}/reprocess/")
    assert statuses() == ["cancelled", "pending"]
    assert DeadLetterQueue.objects.get().resolution == "reprocessed"


@pytest.mark.parametrize("verb", ["cancel", "reprocess", "priority"])
def test_nothing_is_changed_by_get(staff: Client, verb: str) -> None:
    assert staff.get(f"/jobs/{job_in('pending').id}/{verb}/").status_code == 405


def test_the_dead_letters_are_triaged_on_their_page(staff: Client) -> None:
    for status in ("failed", "failed", "failed"):
        job_in(status)
    first, second, third = DeadLetterQueue.objects.order_by("id").values_list("id", flat=True)
    for entry, action in ((first, "reprocess"), (second, "resolve"), (third, "notify")):
        staff.post("/jobs/dead-letters/act/", {"action": action, "entry": [entry], "note": "seen"})
    entries = DeadLetterQueue.objects.order_by("id")
    assert [entry.resolution for entry in entries] == ["reprocessed", "resolved", "open"]
    assert entries[1].note == "seen"
    assert entries[1].resolved_by == "sara"


def test_the_admin_reprocesses_and_says_why_it_left_the_others(staff: Client) -> None:
    jobs = [job_in("failed"), job_in("cancelled"), job_in("completed")]
    page = act(staff, JOBS, "reprocess_jobs", [job.id for job in jobs])
    assert "2 jobs will run again" in page
    assert "1 was left as it is" in page
    assert statuses() == ["pending", "pending", "completed"]


def test_the_admin_cancels(staff: Client) -> None:
    jobs = [job_in("pending"), job_in("running"), job_in("completed")]
    act(staff, JOBS, "cancel_jobs", [job.id for job in jobs])
    assert statuses() == ["cancelled", "running", "completed"]
    assert Job.objects.get(id=jobs[1].id).cancel_requested_by == "sara"


def test_the_admin_turns_completed_jobs_into_failed_ones(staff: Client) -> None:
    staff.cookies["django_language"] = "ar"
    assert "تحويل المهام المكتملة إلى فاشلة لاختبار Dead Letter Queue" in staff.get(JOBS).content.decode()
    jobs = [job_in("completed"), job_in("pending")]
    act(staff, JOBS, "fail_completed_jobs", [job.id for job in jobs])
    assert statuses() == ["failed", "pending"]
    assert DeadLetterQueue.objects.get().job_id == jobs[0].id


def test_the_admin_deletes_only_what_may_go(staff: Client) -> None:
    jobs = [job_in("completed"), job_in("failed"), job_in("running")]
    page = act(staff, JOBS, "delete_jobs", [job.id for job in jobs], confirmed="1")
    assert "open dead letter" in page
    assert statuses() == ["failed", "running"]
    staff.post(f"{JOBS}{jobs[2].id}/delete/", {"post": "yes"})
    assert Job.objects.filter(id=jobs[2].id).exists()


def test_the_admin_resolves_with_a_note_and_notifies(staff: Client) -> None:
    job_in("failed")
    entry = DeadLetterQueue.objects.get()
    DeadLetterQueue.objects.update(notify_after=None, notify_error="no ADMIN_EMAILS")
    actions = dict(staff.get(LETTERS).context["action_form"].fields["action"].choices)
    notify = next(name for name in actions if "noti" in name)
    act(staff, LETTERS, notify, [entry.id])
    assert DeadLetterQueue.objects.get().notify_after is not None
    resolve = next(name for name in actions if "resolve" in name)
    act(staff, LETTERS, resolve, [entry.id], confirmed="1", note="known")
    entry = DeadLetterQueue.objects.get()
    assert (entry.resolution, entry.note) == ("resolved", "known")


def test_a_job_added_in_the_admin_is_enqueued(staff: Client) -> None:
    given = {"task": "jobs.tasks.sleep", "name": "admin", "args": "[]", "kwargs": '{"seconds": 1}', "priority": "7", "max_retries": "0",
             "run_at": "", "queue": ""}  # fmt: skip
    prefix = {f"attempt_set-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    answer = staff.post(f"{JOBS}add/", given | prefix)
    assert answer.status_code == 302
    job = Job.objects.get()
    assert (job.status, job.priority, job.max_retries, job.queue) == ("pending", 7, 0, "celery")
    assert staff.post(f"{JOBS}add/", given | prefix | {"kwargs": '{"minutes": 1}'}).status_code == 200
    assert Job.objects.count() == 1


def test_the_lists_of_the_admin_ask_few_queries(staff: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(30):
        job_in("failed")
    for address in (JOBS, LETTERS):
        with django_assert_max_num_queries(14):
            assert staff.get(address).status_code == 200
