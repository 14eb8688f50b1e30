"""Which dead letters or jobs an act is for: those of the preview that are still open; what cannot be read selects nothing."""

import re
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import batches, dead_letters
from jobs.models import Audit, Batch, DeadLetterQueue, Job
from jobs.web.views import triage
from tests.rows import job_in
from tests.web.previews import preview

pytestmark = pytest.mark.django_db


def failed() -> DeadLetterQueue:
    return DeadLetterQueue.objects.get(job=job_in("failed"))


@pytest.mark.parametrize("how", [{}, {"pace": "10"}, {"trial": "on"}, {"argument": "seconds", "value": "7"}, {"priority": "many"}])
def test_what_somebody_else_decided_meanwhile_is_said_and_begins_nothing(sara: Client, how: dict[str, str]) -> None:
    entry = failed()
    fields = preview(sara, "reprocess", f"group={entry.fingerprint}")
    dead_letters.resolve([entry.id], by="omar")
    for language, text in (("en", "Somebody has already dealt with all of these"), ("ar", "سبقك أحدهم إلى البتّ في هذه السجلات كلها")):
        sara.cookies["django_language"] = language
        for verb, form in (("reprocess", how), ("resolve", {"note": "known"}), ("resolve", {})):
            answer = sara.post(f"/jobs/dead-letters/{verb}/", {**fields, **form}, follow=True)
            assert (answer.status_code, answer.request["PATH_INFO"]) == (200, "/jobs/dead-letters/")
            assert text in answer.content.decode()
    assert not Batch.objects.exists()
    assert Audit.objects.get().actor == "omar"
    entry.refresh_from_db()
    assert (entry.resolution, entry.note) == ("resolved", "")


def test_the_preview_says_when_the_jobs_are_of_several_tasks(sara: Client) -> None:
    failed(), failed()
    said = "These jobs belong to several tasks"
    assert said not in sara.get("/jobs/dead-letters/reprocess/").content.decode()
    Job.objects.filter(pk=failed().job_id).update(task="jobs.tasks.fail")
    assert said in sara.get("/jobs/dead-letters/reprocess/").content.decode()
    with CaptureQueriesContext(connection) as captured:
        assert said not in sara.get("/jobs/dead-letters/reprocess/?task=jobs.tasks.fail").content.decode()
    assert not [query for query in captured.captured_queries if query["sql"].startswith('SELECT "jobs_job"."task" AS')]


def test_what_is_decided_while_the_form_is_read_begins_no_empty_batch(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = failed()
    fields = preview(sara, "reprocess", f"group={entry.fingerprint}")
    fits = triage._fits

    def late(*given: Any) -> bool:
        dead_letters.resolve([entry.id], by="omar")
        return fits(*given)

    monkeypatch.setattr(triage, "_fits", late)
    answer = sara.post("/jobs/dead-letters/reprocess/", {**fields, "trial": "on"}, follow=True)
    assert "Somebody has already dealt with all of these" in answer.content.decode()
    assert not Batch.objects.exists()


def test_the_newest_entry_may_be_one_whose_arguments_cannot_be_read(sara: Client) -> None:
    entry, odd = failed(), failed()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET kwargs = '[1]' WHERE id = %s", [odd.job_id])
    fields = preview(sara, "reprocess", f"group={entry.fingerprint}")
    page = sara.post("/jobs/dead-letters/reprocess/", {**fields, "argument": "seconds", "value": "7"}, follow=True).content.decode()
    assert re.search(r"<dt>Changed</dt><dd>1</dd><dt>Left as they are</dt><dd>1: <bdi>Its named arguments cannot be read", page)


@pytest.mark.parametrize(
    "query",
    [
        "entry=abc", "entry=", f"entry={'9' * 20}", "entry=1&entry=x", "entry=-1", "q=%00", f"q={'x' * 201}", "q=nowhere", "group=%00",
        "until=x", "until=0", "until=-1", f"until={'9' * 20}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["reprocess", "resolve"])
def test_what_cannot_be_read_selects_nothing(sara: Client, verb: str, query: str) -> None:
    entries = [failed() for _ in range(2)]
    query = query.replace("entry=1&", f"entry={entries[0].id}&")
    assert sara.get(f"/jobs/dead-letters/{verb}/?{query}").context["total"] == 0
    fields = preview(sara, verb, query)
    for sent in (fields, dict(QueryDict(query).lists())):
        answer = sara.post(f"/jobs/dead-letters/{verb}/", {**sent, "note": "known"}, follow=True)
        assert "Nothing was selected." in answer.content.decode()
    page = sara.get(f"/jobs/dead-letters/?{query}")
    assert list(page.context["page"].rows) == []
    assert f"/jobs/dead-letters/{verb}/?" not in page.content.decode()
    assert set(DeadLetterQueue.objects.values_list("resolution", flat=True)) == {"open"}


@pytest.mark.parametrize(
    "query", ["priority=abc", "status=odd", "since=soon", "worker=x", "creator=nobody", "q=%00", "q=...", f"q={'x' * 201}"]
)
def test_all_jobs_of_a_filter_that_cannot_be_read_are_none(sara: Client, query: str) -> None:
    job_in("pending")
    answer = sara.post("/jobs/bulk/", {"verb": "cancel", "all": "1", **dict(QueryDict(query).lists())}, follow=True)
    assert "Nothing was selected." in answer.content.decode()
    assert not Batch.objects.exists()


@pytest.mark.parametrize(("query", "left"), [("priority=abc", 1), ("priority=10", 1), ("queue=elsewhere", 1), ("priority=5", 0), ("", 0)])
def test_neither_are_they_in_the_admin(sara: Client, query: str, left: int) -> None:
    job = job_in("pending")
    sara.post(f"/admin/jobs/job/?{query}", {"action": "cancel_jobs", "_selected_action": [job.id], "select_across": "1"})
    assert Job.objects.filter(status="pending").count() == left


@pytest.mark.parametrize("verb", ["resolve", "reprocess"])
def test_more_entries_than_one_act_may_have_are_left_for_another_and_the_preview_says_so(
    sara: Client, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Also to a form that was never shown; the second act takes the rest."""
    monkeypatch.setattr(batches, "MOST", 2)
    numbers = [failed().id for _ in range(5)]
    button = {"resolve": "Mark 2 entries as resolved</button>", "reprocess": "Reprocess 2 jobs</button>"}[verb]
    address, said = (
        f"/jobs/dead-letters/{verb}/",
        "One bulk action covers at most 2 entries, and these are the oldest. 3 newer entries stay open",
    )
    page = sara.get(address).content.decode()
    assert (button in page, said in page) == (True, True)
    answer = sara.post(address, {"until": str(numbers[-1]), "note": "known"})
    assert (answer.status_code, said in answer.content.decode()) == (422, True)
    for left in (3, 1, 0):
        sara.post(address, {**preview(sara, verb, ""), "note": "known"})
        assert DeadLetterQueue.objects.filter(resolution="open").count() == left
    resolved = list(DeadLetterQueue.objects.order_by("resolved_at", "id").values_list("id", flat=True))
    assert [set(resolved[:2]), set(resolved[2:4]), set(resolved[4:])] == [set(numbers[:2]), set(numbers[2:4]), {numbers[4]}]
    sara.cookies["django_language"] = "ar"
    failed(), failed(), failed()
    assert "وهذه أقدمها" in sara.get(address).content.decode()
