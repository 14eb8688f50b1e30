"""Many jobs of the list at once: exactly those of the preview; filters in the address; the list as a file."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone, translation

from jobs import batches, control, enqueue
from jobs.models import Audit, Batch, Job
from jobs.models.batch import BatchState
from tests.rows import job_in, statuses

pytestmark = pytest.mark.django_db


def previewed(client: Client, verb: str, **fields: Any) -> Batch:
    answer = client.post("/jobs/bulk/", {"verb": verb, **fields})
    assert answer.status_code == 302, answer.content
    batch = Batch.objects.latest("id")
    assert answer.headers["Location"].partition("?")[0] == f"/jobs/batches/{batch.pk}/"
    return batch


def test_the_preview_says_how_many_and_changes_nothing(sara: Client) -> None:
    jobs = [job_in(status) for status in ("pending", "pending", "completed")]
    batch = previewed(sara, "cancel", job=[job.id for job in jobs])
    content = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert "2 jobs will be changed" in content
    assert "1 job stays as it is. It has completed." in content
    batches.go_on()
    assert statuses() == ["pending", "pending", "completed"]
    assert not Audit.objects.exists()


def test_exactly_the_previewed_jobs_are_changed(sara: Client) -> None:
    job_in("pending", name="report 1")
    job_in("pending", name="other")
    batch = previewed(sara, "priority", all="1", q="report", job=["999"])
    job_in("pending", name="report 2")
    assert sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"priority": "10"}).status_code == 422
    sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"priority": "9"})
    assert list(Job.objects.order_by("id").values_list("priority", flat=True)) == [9, 5, 5]
    sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"priority": "1"})  # a second time: nothing
    assert Job.objects.filter(priority=1).count() == 0
    assert Audit.objects.get().after == {"priority": 9}


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("cancel", "pending", ["cancelled"]),
        ("reprocess", "cancelled", ["pending"]),
        ("delete", "completed", []),
        ("queue", "pending", ["pending"]),
    ],
)
def test_each_verb_works_for_many(sara: Client, verb: str, before: str, after: list[str]) -> None:
    job = job_in(before)
    batch = previewed(sara, verb, job=[job.id])
    sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"queue": "slow"})
    assert statuses() == after
    if verb == "queue":
        assert Job.objects.get().queue == "slow"


@pytest.mark.parametrize(("name", "said"), [("a\u202eb", "override the text direction"), ("a\u2066b", "override"), ("x" * 101, "100")])
def test_a_name_that_enqueue_refuses_is_no_queue_to_move_to(sara: Client, name: str, said: str) -> None:
    job = job_in("pending")
    batch = previewed(sara, "queue", job=[job.id])
    answer = sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"queue": name})
    assert (answer.status_code, said in answer.content.decode()) == (422, True)
    moved = {"action": "move_jobs", "_selected_action": [job.id], "confirmed": "1", "queue": name}
    assert said in sara.post("/admin/jobs/job/", moved).content.decode()
    with translation.override("en"), pytest.raises(ValueError, match=said):
        control.change_queue([job.id], name, by="sara")
    assert Job.objects.get().queue == "celery"


def test_a_queue_that_code_named_so_does_not_come_back(sara: Client) -> None:
    job = job_in("pending")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET queue = 'a\u202eb'")
    batch = previewed(sara, "queue", job=[job.id])
    sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"queue": "slow"})
    page = sara.post(f"/jobs/batches/{batch.pk}/undo/", follow=True).content.decode()
    assert "override the text direction" in page
    assert Job.objects.get().queue == "slow"


def test_more_than_a_few_go_on_in_the_background(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    for _ in range(3):
        job_in("pending")
    batch = previewed(sara, "cancel", all="1")
    sara.post(f"/jobs/batches/{batch.pk}/confirm/")
    assert statuses() == ["pending"] * 3
    batches.go_on()
    batch.refresh_from_db()
    assert (statuses(), batch.state) == (["cancelled"] * 3, BatchState.DONE)


def test_what_changed_between_preview_and_act_is_left(sara: Client) -> None:
    jobs = [job_in("pending") for _ in range(2)]
    batch = previewed(sara, "cancel", job=[job.id for job in jobs])
    control.cancel([jobs[0].id], by="omar")
    sara.post(f"/jobs/batches/{batch.pk}/confirm/")
    batch.refresh_from_db()
    assert (batch.done, sum(batch.reasons.values())) == (1, 1)


def test_those_that_still_run_are_not_counted_as_changed(sara: Client) -> None:
    waiting, running = job_in("pending"), job_in("running")
    batch = previewed(sara, "cancel", job=[waiting.id, running.id])
    page = sara.post(f"/jobs/batches/{batch.pk}/confirm/", follow=True).content.decode()
    batch.refresh_from_db()
    assert (batch.done, batch.reasons) == (1, {"asked": 1})
    assert "1: <bdi>It was running: it was asked to stop, and may still complete.</bdi>" in page


def test_a_preview_belongs_to_who_made_it(sara: Client) -> None:
    job = job_in("pending")
    batch = previewed(sara, "cancel", job=[job.id])
    other = Client()
    other.force_login(get_user_model().objects.create_superuser("omar", "", "x"))
    other.post(f"/jobs/batches/{batch.pk}/confirm/")
    assert statuses() == ["pending"]


@pytest.mark.parametrize("fields", [{}, {"verb": "explode", "job": "1"}, {"verb": "fail", "job": "1"}])
def test_nonsense_is_refused(sara: Client, fields: dict[str, str]) -> None:
    answer = sara.post("/jobs/bulk/", fields)
    assert (answer.status_code, "<h1>This request could not be read</h1>" in answer.content.decode()) == (400, True)
    assert sara.post("/jobs/bulk/", {"verb": "cancel", "job": "many"}).status_code == 302
    assert not Batch.objects.exists()


def test_each_verb_needs_its_permission(client: Client) -> None:
    user = get_user_model().objects.create_user("omar", "", "x")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_job", "control_job"]))
    client.force_login(user)
    job = job_in("completed")
    assert client.post("/jobs/bulk/", {"verb": "delete", "job": job.id}).status_code == 403
    draft = batches.draft(batches.Verb.DELETE, [job.id], batches.Actor(name="omar"))
    assert client.post(f"/jobs/batches/{draft.pk}/confirm/").status_code == 403
    assert b'value="delete"' not in client.get("/jobs/").content


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 4), ("status=failed", 1), ("task=jobs.tasks.sleep", 4), ("task=x", 0), ("queue=mail", 1), ("priority=9", 1),
        ("error=ValueError", 1),        ("error=Value", 0), ("creator=sara", 1), ("worker=1", 2),
        ("since=2001-01-01T00:00", 4), ("until=2001-01-01T00:00", 0),
        ("q=wanted", 1), ("q=ValueError", 1), ("q=wanted&priority=9", 0), ("priority=10", 0), ("since=soon", 0), ("worker=x", 0),
    ],
)  # fmt: skip
def test_every_filter_stands_in_the_address(sara: Client, query: str, found: int) -> None:
    job_in("failed")
    job_in("completed", priority=9)
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, queue="mail", created_by=get_user_model().objects.get())
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="wanted")
    answer = sara.get(f"/jobs/?{query}")
    assert answer.content.count(b'name="job"') == found
    if "10" not in query and "soon" not in query:
        assert sara.get(f"/jobs/export/?{query}").getvalue().count(b"\r\n") == found + 1  # type: ignore[attr-defined]


def test_the_other_filters_stay_when_the_state_is_changed(sara: Client) -> None:
    content = sara.get("/jobs/?priority=9&status=failed&before=7").content.decode()
    assert 'href="?priority=9&amp;status=running"' in content


def test_pages_lead_both_ways(sara: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task) SELECT 't' FROM generate_series(1, 120)")
    seen: list[int] = []
    address = "/jobs/?task=t"
    for _ in range(3):
        page = sara.get(address).context["page"]
        seen += [job.pk for job in page.rows]
        address = f"/jobs/{page.older}"
    assert seen == sorted(Job.objects.values_list("pk", flat=True), reverse=True)
    back = sara.get(f"/jobs/{page.newer}").context["page"]
    assert [job.pk for job in back.rows] == seen[50:100]


def test_more_than_a_batch_may_hold_is_refused(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST", 2)
    for _ in range(3):
        job_in("pending")
    answer = sara.post("/jobs/bulk/", {"verb": "cancel", "all": "1"}, follow=True)
    assert "More than 2 jobs match" in answer.content.decode()
    assert not Batch.objects.exists()


def test_old_previews_are_pruned() -> None:
    from threading import Event

    from jobs.leader.prune import prune

    old = batches.draft(batches.Verb.CANCEL, [1], batches.Actor(name="sara"))
    Batch.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    batches.draft(batches.Verb.CANCEL, [1], batches.Actor(name="sara"))
    prune(connection.connection, Event())
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(
    ("verb", "status", "one", "two"),
    [
        ("cancel", "pending", "Cancel 1 job", "Cancel 2 jobs"),
        ("reprocess", "cancelled", "Reprocess 1 job", "Reprocess 2 jobs"),
        ("priority", "pending", "Change the priority of 1 job", "Change the priority of 2 jobs"),
        ("queue", "pending", "Move 1 job to another queue", "Move 2 jobs to another queue"),
        ("delete", "completed", "Delete 1 job", "Delete 2 jobs"),
    ],
)
def test_the_button_repeats_verb_and_number(sara: Client, verb: str, status: str, one: str, two: str) -> None:
    jobs = [job_in(status) for _ in range(2)]
    for chosen, text in ((jobs[:1], one), (jobs, two)):
        batch = previewed(sara, verb, job=[job.id for job in chosen])
        content = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
        assert f"<h1>{text}</h1>" in content
        assert f">{text}</button>" in content
    sara.post(f"/jobs/batches/{batch.pk}/confirm/", {"priority": "9", "queue": "slow"})
    page = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert f"<h1>{two}</h1>" in page
    asked = {"priority": "<dt>Priority</dt><dd><bdi>9</bdi></dd>", "queue": "<dt>Queue</dt><dd><bdi>slow</bdi></dd>"}
    assert [name for name, shown in asked.items() if shown in page] == [verb] * (verb in asked)
    assert two in sara.get("/jobs/batches/").content.decode()


@pytest.mark.parametrize(("language", "verb"), [("en", "Reprocess"), ("ar", "إعادة المعالجة")])
def test_to_reprocess_has_one_name_on_a_jobs_page_and_in_lists(sara: Client, language: str, verb: str) -> None:
    job = job_in("failed")
    sara.cookies["django_language"] = language
    for address in (f"/jobs/{job.pk}/", "/jobs/", "/jobs/dead-letters/"):
        page = sara.get(address).content.decode()
        buttons = re.findall(r'<button [^>]*"(?:[^">]*/)?reprocess/?"[^>]*>(?:<svg.*?</svg>)?(.*?)</button>', page)
        assert [text.removesuffix("…") for text in buttons] == [verb], address


def test_a_preview_says_when_there_is_nothing_to_do_or_somebody_else_has_to_do_it(sara: Client) -> None:
    batch = previewed(sara, "cancel", job=[job_in("completed").id])
    content = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert "Nothing to do" in content
    assert '<button class="btn btn-l' not in content
    batch = previewed(sara, "cancel", job=[job_in("pending").id])
    Batch.objects.filter(pk=batch.pk).update(actor="omar")
    content = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert "Only <bdi>omar</bdi>, who selected these jobs, can confirm this." in content
    assert '<button class="btn btn-l' not in content
    assert "This is not your preview" in sara.post(f"/jobs/batches/{batch.pk}/confirm/", follow=True).content.decode()
    assert Job.objects.filter(status="cancelled").count() == 0


def test_a_preview_says_which_tasks_are_meant(sara: Client) -> None:
    jobs = [job_in("pending"), job_in("pending"), enqueue("jobs.tasks.fail", kwargs={"message": "x"})]
    batch = previewed(sara, "cancel", job=[job.id for job in jobs])
    content = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert re.search(r'jobs\.tasks\.sleep</bdi></th><td class="num"><b>2</b>', content)
    assert re.search(r'jobs\.tasks\.fail</bdi></th><td class="num"><b>1</b>', content)
