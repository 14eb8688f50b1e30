"""What the admin says to its people: true reasons, and all of it in their language."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone, translation

from jobs import batches, control, dead_letters, enqueue
from jobs.admin.dead_letter import DeadLetterQueueAdmin
from jobs.models import Attempt, Audit, Batch, DeadLetterQueue, ErrorGroup, Job
from jobs.store import search
from tests.rows import index_everything, job_in

pytestmark = pytest.mark.django_db
JOBS, LETTERS = "/admin/jobs/job/", "/admin/jobs/deadletterqueue/"


def test_to_delete_a_job_with_an_open_dead_letter_is_refused_for_the_true_reason(sara: Client) -> None:
    job = job_in("failed")
    assert "permission" not in sara.get(f"{JOBS}{job.pk}/delete/").content.decode()
    answer = sara.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"}, follow=True).content.decode()
    assert "It has an open dead-letter entry: reprocess or resolve that first." in answer
    dead_letters.resolve([DeadLetterQueue.objects.get().pk], by="sara", note="")
    assert "permission" not in sara.get(f"{JOBS}{job.pk}/delete/").content.decode()
    sara.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"})
    assert not Job.objects.exists()


@pytest.fixture
def arabic(sara: Client) -> Client:
    sara.cookies["django_language"] = "ar"
    return sara


def text(page: str) -> str:
    """What is read of a page."""
    return " ".join(re.sub("<[^>]+>", " ", page).split())


def test_the_page_of_a_dead_letter_has_no_english_and_no_raw_values(arabic: Client) -> None:
    job_in("failed")
    entry = DeadLetterQueue.objects.get()
    DeadLetterQueue.objects.update(notify_error="no ADMIN_EMAILS")
    page = arabic.get(f"{LETTERS}{entry.pk}/change/").content.decode()
    assert "None" not in page
    assert "Id:" not in page
    assert "لا إشعار: لا عنوان في ADMIN_EMAILS" in text(page)
    assert re.findall(r'field-(?:shown_owner|shown_snooze)">.*?readonly">([^<]*)<', page, re.DOTALL) == ["-", "-"]
    assert f"\u2066{entry.job_id}: ValueError\u2069" in page
    ErrorGroup.objects.create(fingerprint=entry.fingerprint, snoozed_until=timezone.now() + timedelta(days=2))
    assert "+00:00" not in arabic.get(f"{LETTERS}{entry.pk}/change/").content.decode()


def test_the_words_beside_lists_and_values_are_those_of_their_place(arabic: Client) -> None:
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    assert "حسب وقت الإنشاء" in text(arabic.get(JOBS).content.decode())
    assert "حسب وقت الفشل" in text(arabic.get(LETTERS).content.decode())
    assert "المهمة:" in text(arabic.get(f"{LETTERS}{entry.pk}/change/").content.decode()).split()
    control.cancel([job_in("pending").pk], by="omar")
    act = Audit.objects.latest("id")
    page = text(arabic.get(f"/admin/jobs/audit/{act.pk}/change/").content.decode())
    assert f"omar: ألغى {act.job}" in page
    assert "المهمة:" in page.split()
    with translation.override("en"):
        assert str(Audit(actor="omar", verb="drain", name="w@host")) == "omar: worker drained w@host"


def test_the_pause_after_a_run_is_rounded_and_has_its_unit(arabic: Client) -> None:
    job = job_in("failed")
    Attempt.objects.update(delay=1.0762679154209218)
    page = arabic.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "1.076" not in page
    assert "1.08 ث" in page


def test_rows_are_counted_by_what_they_are_and_not_by_the_name_of_the_list(arabic: Client) -> None:
    for _ in range(3):
        job_in("failed")
    letters, jobs = (text(arabic.get(address).content.decode()) for address in (LETTERS, JOBS))
    assert "3 سجلات" in letters
    assert "3 مهام" in jobs
    assert "3 قائمة" not in letters


def test_all_rows_of_more_pages_than_one_are_chosen_by_what_they_are(arabic: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeadLetterQueueAdmin, "list_per_page", 2)
    for _ in range(3):
        job_in("failed")
    page = text(arabic.get(LETTERS).content.decode())
    assert "3 سجلات" in re.sub(".*اختيار", "", page)
    assert "عرض الكل" in page


@pytest.mark.parametrize(
    ("address", "action", "button"),
    [(JOBS, "delete_jobs", "حذف"), (LETTERS, "resolve_entries", "تمييز كمحلولة"), (JOBS, "move_jobs", "تغيير قائمة الانتظار")],
)
def test_the_button_that_confirms_says_what_it_does(arabic: Client, address: str, action: str, button: str) -> None:
    job = job_in("failed")
    chosen = job.pk if address == JOBS else DeadLetterQueue.objects.get().pk
    page = arabic.post(address, {"action": action, "_selected_action": [chosen]}).content.decode()
    assert f'<input type="submit" value="{button}">' in page


def test_a_question_says_how_many_rows_it_is_about_and_not_only_those_that_it_shows(sara: Client) -> None:
    jobs = [job_in("completed").pk for _ in range(53)]
    asked = {"action": "delete_jobs", "_selected_action": jobs[:2]}
    page = text(sara.post(JOBS, {**asked, "select_across": "1"}).content.decode())
    assert "and 3 more (53 in total)" in page
    assert "Deleted jobs cannot be restored." in page
    page = text(sara.post(JOBS, asked).content.decode())
    assert "in all" not in page
    assert "Home › Jobs › Jobs › Delete these jobs?" in page.replace("&rsaquo;", "›")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"args": "[]", "kwargs": "{}"}, "المدخل \u2066seconds\u2069 ناقص"),
        ({"args": "[1, 2]", "kwargs": "{}"}, "المدخلات الموضعية أكثر مما تقبله"),
        ({"args": "[1]", "kwargs": '{"colour": 1}'}, "ليس لها مدخل باسم \u2066colour\u2069"),
        ({"args": "[1]", "kwargs": '{"seconds": 1}'}, "أُعطي المدخل \u2066seconds\u2069 مرتين"),
        ({"args": "[]", "kwargs": '{"seconds": 86401}'}, "لا يزيد على 86,400."),
    ],
)
def test_why_arguments_do_not_fit_is_said_in_the_readers_language(arabic: Client, arguments: dict[str, str], sentence: str) -> None:
    form = {"task": "jobs.tasks.sleep", "name": "", "priority": "5", "max_retries": "3", "queue": "", "run_at": "", **arguments}
    assert sentence in arabic.post(f"{JOBS}add/", form).content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("confirmed", [{"action": "cancel_jobs"}, {"action": "reorder_jobs", "confirmed": "1", "priority": "9"}])
def test_an_action_is_for_no_more_jobs_than_an_act_of_the_desk(
    sara: Client, monkeypatch: pytest.MonkeyPatch, confirmed: dict[str, str]
) -> None:
    monkeypatch.setattr(batches, "MOST", 2)
    jobs = [job_in("pending", priority=1).pk for _ in range(3)]
    form = {**confirmed, "_selected_action": jobs[0], "select_across": "1"}
    answer = sara.post(JOBS, form, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["More than 2 jobs match: narrow the filters."]
    assert set(Job.objects.values_list("status", "priority")) == {("pending", 1)}
    control.delete(control.cancel(jobs[:1], "omar").done, "omar")
    sara.post(JOBS, {**form, "_selected_action": jobs[1]})
    assert len(set(Job.objects.values_list("status", "priority")) & {("cancelled", 1), ("pending", 9)}) == 1


@pytest.mark.parametrize(
    ("address", "status", "form", "became"),
    [
        (JOBS, "pending", {"action": "cancel_jobs"}, "cancelled"),
        (JOBS, "cancelled", {"action": "reprocess_jobs"}, "pending"),
        (LETTERS, "failed", {"action": "reprocess_entries"}, "pending"),
        (LETTERS, "failed", {"action": "resolve_entries", "confirmed": "1", "note": "known"}, "failed"),
    ],
)
def test_an_action_on_many_rows_goes_on_in_the_background_as_on_the_desk(
    sara: Client, monkeypatch: pytest.MonkeyPatch, address: str, status: str, form: dict[str, str], became: str
) -> None:
    """At once it was one transaction: 50 s for 100,000 entries, longer than a proxy waits, and all of them locked meanwhile."""
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    jobs = [job_in(status) for _ in range(3)]
    chosen = jobs[0].pk if address == JOBS else DeadLetterQueue.objects.first().pk
    answer = sara.post(address, {**form, "_selected_action": chosen, "select_across": "1", "reason": "tidy"}, follow=True)
    batch = Batch.objects.get()
    assert (batch.total, batch.place, batch.state) == (3, 0, "running")
    assert f'<a href="/jobs/batches/{batch.pk}/">Bulk action {batch.pk}</a>' in answer.content.decode()
    while batches.go_on():
        pass
    assert set(Job.objects.values_list("status", flat=True)) == {became}
    assert Audit.objects.filter(batch=batch.pk, source="admin", note__in=["tidy", "known"]).count() == 3


def test_the_history_of_a_job_and_of_its_dead_letter_is_the_audit(sara: Client) -> None:
    job_in("pending")  # the numbers of jobs and entries differ
    job = job_in("failed").pk
    entry = DeadLetterQueue.objects.get().pk
    control.reprocess([job], by="omar")
    for address in (f"{JOBS}{job}/", f"{LETTERS}{entry}/"):
        assert f'href="{address}history/"' in sara.get(f"{address}change/").content.decode()
        answer = sara.get(f"{address}history/", follow=True)
        assert [(record.verb, record.job) for record in answer.context["cl"].result_list] == [("reprocess", job)]
    record = Audit.objects.get().pk
    assert b"/history/" not in sara.get(f"/admin/jobs/audit/{record}/change/").content, "nobody changes it"


def test_who_may_not_read_the_audit_sees_no_history(client: Client) -> None:
    viewer = get_user_model().objects.create_user("viewer", "", "x", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(viewer)
    job = job_in("pending").pk
    page = client.get(f"{JOBS}{job}/change/").content.decode()
    assert ("/history/" in page, f'href="/jobs/{job}/"' in page) == (False, True)


@pytest.mark.parametrize("indexed", [True, False])
def test_jobs_are_found_as_the_desk_finds_them(sara: Client, indexed: bool) -> None:
    """By number, Celery id and words; not by what is hidden."""
    job = job_in("failed", name="Quarterly report")
    job_in("pending", name="other")
    secret = enqueue("jobs.tasks.http_request", kwargs={"url": "http://x", "headers": {"password": "hunter22"}}, name="third")
    if indexed:
        index_everything()
    for text, found in ((job.pk, 1), (job.task_id, 1), ("quarterly", 1), ("ValueError", 1), ("sleep", 2), ("third", 1), ("hunter22", 0)):
        rows = sara.get(f"/admin/jobs/job/?q={text}").context["cl"].result_list
        assert len(rows) == found, text
        assert secret in rows if text == "third" else secret not in rows


def test_a_search_that_has_not_seen_all_jobs_says_so(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    job_in("pending")
    said = "The newest jobs are still being indexed"
    assert said not in sara.get("/admin/jobs/job/?q=sleep").content.decode()
    monkeypatch.setattr(search, "UNINDEXED", 1)
    assert said in sara.get("/admin/jobs/job/?q=sleep").content.decode()
