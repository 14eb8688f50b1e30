"""What people do with jobs and dead letters, from the pages and from the admin."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from jobs import dead_letters, enqueue
from jobs.models import Audit, DeadLetterQueue, Job
from jobs.store import interventions
from tests.rows import job_in, statuses

pytestmark = pytest.mark.django_db
JOBS, LETTERS = "/admin/jobs/job/", "/admin/jobs/deadletterqueue/"


def act(client: Client, address: str, action: str, ids: list[int], **more: Any) -> str:
    answer = client.post(address, {"action": action, "_selected_action": ids, **more}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_cancels_reorders_and_reprocesses(sara: Client) -> None:
    waiting, failed = job_in("pending"), job_in("failed")
    assert sara.post(f"/jobs/{waiting.id}/priority/", {"priority": "9"}).status_code == 302
    assert Job.objects.get(id=waiting.id).priority == 9
    assert sara.post(f"/jobs/{waiting.id}/priority/", {"priority": "10"}).status_code == 422
    sara.post(f"/jobs/{waiting.id}/cancel/")
    sara.post(f"/jobs/{failed.id}/reprocess/")
    assert statuses() == ["cancelled", "pending"]
    entry = DeadLetterQueue.objects.get()
    assert (entry.resolution, entry.notify_after) == ("reprocessed", None)


@pytest.mark.parametrize("verb", ["cancel", "restore", "reprocess", "priority"])
def test_nothing_is_changed_by_get(sara: Client, verb: str) -> None:
    job, before = job_in("pending"), list(Job.objects.values())
    answer = sara.get(f"/jobs/{job.id}/{verb}/?priority=9")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/jobs/{job.id}/?priority=9")
    assert list(Job.objects.values()) == before


def test_the_dead_letters_are_triaged_on_their_page(sara: Client) -> None:
    for status in ("failed", "failed", "failed"):
        job_in(status)
    first, second, third = DeadLetterQueue.objects.order_by("id").values_list("id", flat=True)
    for entry, action in ((first, "reprocess"), (second, "resolve"), (third, "notify")):
        sara.post("/jobs/dead-letters/act/", {"action": action, "entry": [entry], "note": "seen"})
    entries = DeadLetterQueue.objects.order_by("id")
    assert [entry.resolution for entry in entries] == ["reprocessed", "resolved", "open"]
    assert entries[1].note == "seen"
    assert entries[1].resolved_by == "sara"


def test_the_admin_reprocesses_and_says_why_it_left_the_others(sara: Client) -> None:
    jobs = [job_in("failed"), job_in("cancelled"), job_in("completed")]
    page = act(sara, JOBS, "reprocess_jobs", [job.id for job in jobs])
    assert "2 jobs will run again" in page
    assert "was left as it is" in page
    assert statuses() == ["pending", "pending", "completed"]


@pytest.mark.parametrize(
    ("number", "english", "arabic"),
    [
        (1, "1 entry was left as it is (job {}). It is no longer open.", "تُرك سجل واحد كما هو (المهمة {}). لم يعد مفتوحًا."),
        (2, "2 entries were left as they are (jobs {}). They are no longer open.", "تُرك سجلان كما هما (المهمتان {}). لم يعودا مفتوحين."),
        (3, "3 entries were left as they are (jobs {}). They are no longer open.", "تُركت 3 سجلات كما هي (المهام {}). لم تعد مفتوحة."),
        (11, "11 entries were left as they are (jobs {} …). They are no longer open.", "تُرك 11 سجلًا كما هي (المهام {} …). لم تعد مفتوحة."),
    ],
)
def test_entries_that_were_left_are_named_by_their_jobs(sara: Client, number: int, english: str, arabic: str) -> None:
    job_in("pending")  # has no entry: the numbers of jobs and entries differ
    jobs = [job_in("failed").id for _ in range(number)]
    entries = dict(DeadLetterQueue.objects.order_by("id").values_list("id", "job_id"))
    dead_letters.resolve(list(entries), by="omar")
    for language, text, comma in (("en", english, ", "), ("ar", arabic, "، ")):
        sara.cookies["django_language"] = language
        names = comma.join(map(str, jobs[:5]))
        for action in ("reprocess", "resolve", "notify"):
            page = sara.post("/jobs/dead-letters/act/", {"action": action, "entry": list(entries)}, follow=True).content.decode()
            assert text.format(names) in page
        assert text.format(names) in act(sara, LETTERS, "reprocess_entries", list(entries))


def test_an_entry_whose_job_cannot_run_again_says_which_job(sara: Client) -> None:
    job = job_in("failed", unique_key="one")
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
    entry = DeadLetterQueue.objects.get()
    page = sara.post("/jobs/dead-letters/reprocess/", {"entry": entry.id}, follow=True).content.decode()
    assert f"1 entry was left as it is (job {job.id}). Another job with the same unique key has not ended." in page
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_deadletterqueue")
    page = sara.post("/jobs/dead-letters/act/", {"action": "resolve", "entry": entry.id}, follow=True).content.decode()
    assert "1 entry was left as it is. It is no longer open." in page


def test_a_reason_goes_into_the_audit_and_onto_the_page_of_the_job(sara: Client) -> None:
    job = job_in("pending")
    sara.post(f"/jobs/{job.id}/priority/", {"priority": "8", "reason": "the boss waits"})
    sara.post(f"/jobs/{job.id}/cancel/", {"reason": " the file \u202e is\nwrong "})
    page = sara.get(f"/jobs/{job.id}/").content.decode()
    assert "<b>\u2068sara\u2069 cancelled it: “\u2068the file is wrong\u2069”.</b>" in page.replace("file  is", "file is")
    sara.post(f"/jobs/{job.id}/reprocess/", {"reason": "mended"})
    assert list(Audit.objects.order_by("id").values_list("verb", "note")) == [
        ("priority", "the boss waits"), ("cancel", "the file \u202e is\nwrong"), ("reprocess", "mended"),
    ]  # fmt: skip
    page = sara.get(f"/jobs/{job.id}/").content.decode()
    assert "cancelled it" not in page
    assert "<q><bdi>mended</bdi></q>" in page
    sara.post(f"/jobs/{job.id}/cancel/")
    assert "<b>\u2068sara\u2069 cancelled it.</b>" in sara.get(f"/jobs/{job.id}/").content.decode(), "the older reason was another one's"


def test_a_reason_that_is_too_long_changes_nothing(sara: Client) -> None:
    job = job_in("pending")
    for verb, more in (("cancel", {}), ("priority", {"priority": "8"})):
        answer = sara.post(f"/jobs/{job.id}/{verb}/", {"reason": "x" * 2001, **more})
        assert (answer.status_code, b'role="alert"' in answer.content) == (422, True)
        assert f'name="reason" value="{"x" * 2001}"' in answer.content.decode(), "what was typed is still there"
    assert (statuses(), Audit.objects.count()) == (["pending"], 0)


def test_each_end_by_cancelling_is_told_apart(sara: Client) -> None:
    for error, sentence in (
        ("Revoked: expired", "It expired before it started."),
        ("Revoked: revoked", "It was revoked by code."),
        ("", "It was cancelled."),
    ):
        job = job_in("pending")
        with connection.cursor() as cursor:
            assert interventions.cancel_pending(cursor, [job.id], error) == [job.id]
        assert f"<b>{sentence}</b>" in sara.get(f"/jobs/{job.id}/").content.decode()


def test_a_reason_for_many_goes_to_each(sara: Client) -> None:
    jobs = [job_in("pending"), job_in("pending")]
    answer = sara.post("/jobs/bulk/", {"verb": "cancel", "job": [job.id for job in jobs]})
    assert b'name="reason"' in sara.get(answer["Location"]).content
    page = sara.post(f"{answer['Location']}confirm/", {"reason": "a wrong list"}, follow=True).content.decode()
    assert "<bdi>a wrong list</bdi>" in page
    assert set(Audit.objects.values_list("job", "verb", "note")) == {(job.id, "cancel", "a wrong list") for job in jobs}
    failed = job_in("failed")
    sara.post("/jobs/dead-letters/reprocess/", {"entry": DeadLetterQueue.objects.get().id, "reason": "the server is up"})
    assert Audit.objects.get(job=failed.id).note == "the server is up"
    failed = job_in("failed")
    entry = DeadLetterQueue.objects.get(job=failed)
    sara.post("/jobs/dead-letters/act/", {"action": "reprocess", "entry": entry.id, "note": "once more"})
    assert Audit.objects.get(job=failed.id).note == "once more"


def test_the_admin_asks_for_a_reason_beside_each_action(sara: Client) -> None:
    assert b'name="reason"' in sara.get(JOBS).content
    waits, done, failed = job_in("pending"), job_in("completed"), job_in("failed")
    act(sara, JOBS, "cancel_jobs", [waits.id], reason="a wrong list")
    page = act(sara, JOBS, "delete_jobs", [done.id], reason="of no use")
    assert '<input type="hidden" name="reason" value="of no use">' in page, "the page between keeps it"
    act(sara, JOBS, "delete_jobs", [done.id], reason="of no use", confirmed="1")
    act(sara, LETTERS, "reprocess_entries", [DeadLetterQueue.objects.get().id], reason="mended")
    assert dict(Audit.objects.values_list("job", "note")) == {waits.id: "a wrong list", done.id: "of no use", failed.id: "mended"}


def test_the_admin_cancels(sara: Client) -> None:
    jobs = [job_in("pending"), job_in("running"), job_in("completed")]
    act(sara, JOBS, "cancel_jobs", [job.id for job in jobs])
    assert statuses() == ["cancelled", "running", "completed"]
    assert Job.objects.get(id=jobs[1].id).cancel_requested_by == "sara"


def test_cancelling_that_is_only_asked_for_is_said_so(sara: Client) -> None:
    waits, runs = [job_in("pending").id for _ in range(2)], [job_in("running").id for _ in range(2)]
    page = sara.post(f"/jobs/{runs[0]}/cancel/", follow=True).content.decode()
    assert "1 running job was asked to stop; it may still complete." in page
    assert "1 job was cancelled" not in page
    page = act(sara, JOBS, "cancel_jobs", [*waits, *runs])
    assert "2 jobs were cancelled." in page
    assert "2 running jobs were asked to stop; they may still complete." in page
    sara.cookies["django_language"] = "ar"
    page = sara.post(f"/jobs/{runs[1]}/cancel/", follow=True).content.decode()
    assert "طُلب إيقاف مهمة واحدة قيد التنفيذ؛ وقد تكتمل رغم ذلك." in page
    page = sara.post(f"/jobs/{job_in('pending').id}/cancel/", follow=True).content.decode()
    assert "أُلغيت مهمة واحدة." in page
    assert "طُلب إيقاف" not in page


def test_the_admin_turns_completed_jobs_into_failed_ones(sara: Client) -> None:
    sara.cookies["django_language"] = "ar"
    assert "تحويل المهام المكتملة إلى فاشلة لاختبار Dead Letter Queue" in sara.get(JOBS).content.decode()
    jobs = [job_in("completed"), job_in("pending")]
    act(sara, JOBS, "fail_completed_jobs", [job.id for job in jobs])
    assert statuses() == ["failed", "pending"]
    assert DeadLetterQueue.objects.get().job_id == jobs[0].id


def test_the_admin_deletes_only_what_may_go(sara: Client) -> None:
    jobs = [job_in("completed"), job_in("failed"), job_in("running")]
    page = act(sara, JOBS, "delete_jobs", [job.id for job in jobs], confirmed="1")
    assert "open dead-letter entry" in page
    assert statuses() == ["failed", "running"]
    sara.post(f"{JOBS}{jobs[2].id}/delete/", {"post": "yes"})
    assert Job.objects.filter(id=jobs[2].id).exists()


def test_the_admin_resolves_with_a_note_and_notifies(sara: Client) -> None:
    job_in("failed")
    entry = DeadLetterQueue.objects.get()
    DeadLetterQueue.objects.update(notify_after=None, notify_error="no ADMIN_EMAILS")
    actions = dict(sara.get(LETTERS).context["action_form"].fields["action"].choices)
    notify = next(name for name in actions if "noti" in name)
    act(sara, LETTERS, notify, [entry.id])
    assert DeadLetterQueue.objects.get().notify_after is not None
    resolve = next(name for name in actions if "resolve" in name)
    act(sara, LETTERS, resolve, [entry.id], confirmed="1", note="known")
    entry = DeadLetterQueue.objects.get()
    assert (entry.resolution, entry.note) == ("resolved", "known")


def test_a_job_added_in_the_admin_is_enqueued(sara: Client) -> None:
    given = {"task": "jobs.tasks.sleep", "name": "admin", "args": "[]", "kwargs": '{"seconds": 1}', "priority": "7", "max_retries": "0",
             "run_at": "", "queue": ""}  # fmt: skip
    prefix = {f"attempt_set-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    answer = sara.post(f"{JOBS}add/", given | prefix)
    assert answer.status_code == 302
    job = Job.objects.get()
    assert (job.status, job.priority, job.max_retries, job.queue) == ("pending", 7, 0, "celery")
    assert sara.post(f"{JOBS}add/", given | prefix | {"kwargs": '{"minutes": 1}'}).status_code == 200
    assert Job.objects.count() == 1


def test_the_admin_adds_no_job_before_a_task_is_chosen(sara: Client) -> None:
    """The form as it opens, sent at once: the first task of the list would have been enqueued."""
    form = sara.get(f"{JOBS}add/").context["adminform"].form
    sent = {name: form[name].value() for name in form.fields if name not in ("task", "run_at")}
    first, *_others = form.fields["task"].choices
    answer = sara.post(f"{JOBS}add/", {**sent, "task": first[0], "name": "", "args": "[]", "kwargs": "{}", "queue": "", "run_at": ""})
    assert (answer.status_code, list(answer.context["adminform"].form.errors)) == (200, ["task"])
    assert not Job.objects.exists()


def test_the_lists_of_the_admin_ask_few_queries(sara: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(30):
        job_in("failed")
    for address in (JOBS, LETTERS):
        with django_assert_max_num_queries(14):
            assert sara.get(address).status_code == 200


@pytest.mark.parametrize(("action", "field", "good", "bad"), [("reorder_jobs", "priority", "9", "10"), ("move_jobs", "queue", "slow", "")])
def test_the_admin_changes_priority_and_queue(sara: Client, action: str, field: str, good: str, bad: str) -> None:
    waiting, ended = job_in("pending"), job_in("completed")
    ids = [waiting.id, ended.id]
    assert f'name="{field}"' in act(sara, JOBS, action, ids, reason="the customer waits")
    act(sara, JOBS, action, ids, confirmed="1", **{field: bad})
    assert not Audit.objects.exists()
    page = act(sara, JOBS, action, ids, confirmed="1", reason="the customer waits", **{field: good})
    assert str(getattr(Job.objects.get(id=waiting.id), field)) == good
    assert f"Job {ended.id} was left as it is" in page
    record = Audit.objects.get()
    assert (record.job, record.source, record.note) == (waiting.id, "admin", "the customer waits")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("pending", "No result yet: it is stored when the job completes."),
        ("failed", "No result: the job did not complete."),
        ("cancelled", "No result: the job did not complete."),
    ],
)
def test_a_result_is_awaited_only_while_it_may_come(sara: Client, status: str, said: str) -> None:
    assert said in sara.get(f"/jobs/{job_in(status).pk}/").content.decode()
