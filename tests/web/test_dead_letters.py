"""Dead letters on the desk: groups, what their jobs share, reprocess and resolve of a selection."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

import tests.taskapp.tasks  # noqa: F401 - registers its tasks in this process
from jobs import batches, control, dead_letters, enqueue, masking
from jobs.models import Audit, Batch, DeadLetterQueue, Job
from jobs.store import letters, search, transitions
from jobs.store.transitions import Failure, Run
from tests.rows import job_in, statuses
from tests.web.previews import preview

pytestmark = pytest.mark.django_db


def failed(message: str, task: str = "jobs.tasks.sleep", **kwargs: Any) -> DeadLetterQueue:
    job = enqueue(task, kwargs=kwargs or {"seconds": 1})
    run = Run(id=job.id, runs=1)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        failure = Failure(error_class="ValueError", message=message, traceback="Traceback: here")
        transitions.bury(cursor, run, failure, task=task)
    return DeadLetterQueue.objects.get(job=job)


def test_the_tabs_have_numbers_which_end_somewhere(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for message in ("one", "two", "three", "four"):
        entry = failed(message)
    dead_letters.resolve([entry.id], by="sara", note="")
    tabs = sara.get("/jobs/dead-letters/").context["tabs"]
    assert [(value, number) for value, _text, number in tabs] == [("open", "3"), ("reprocessed", "0"), ("resolved", "1")]
    monkeypatch.setattr(letters, "MOST", 2)
    page = sara.get("/jobs/dead-letters/")
    assert [number for _value, _text, number in page.context["tabs"]] == ["over 2", "0", "1"]
    assert b"<b>over 2</b>" in page.content
    filtered = sara.get("/jobs/dead-letters/?error_class=ValueError").context["tabs"]
    assert [number for *_, number in filtered] == [None] * 3, "they would be those of all entries"


def test_a_list_without_entries_has_no_column_to_choose_them(sara: Client) -> None:
    choose = b'<th scope="col" class="pick">'
    assert choose not in sara.get("/jobs/dead-letters/").content, "a heading of nothing"
    failed("one")
    assert choose in sara.get("/jobs/dead-letters/").content
    assert choose not in sara.get("/jobs/dead-letters/?q=nobody").content


def test_equal_errors_are_one_group() -> None:
    failed("order 1 has no price")
    failed("order 22 has no price")
    failed("disk full")
    found = letters.groups(letters.entries(), 10).lines
    assert [(group.message, group.count) for group in found] == [("disk full", 1), ("order 22 has no price", 2)]
    assert [group.hours[-1] for group in found] == [1, 2]
    assert [(group.count, group.hours) for group in letters.groups(letters.entries(), 10, hours=0).lines] == [(1, ()), (2, ())]
    assert not any(group.came_back for group in found)


def test_a_resolved_error_that_fails_again_came_back(sara: Client) -> None:
    first = failed("disk full")
    dead_letters.resolve([first.id], "sara", "bought a disk")
    assert letters.groups(letters.entries(), 10).lines == ()
    failed("disk full")
    assert letters.groups(letters.entries(), 10).lines[0].came_back
    assert b"came back" in sara.get("/jobs/dead-letters/").content
    assert b"has occurred again since" in sara.get(f"/jobs/dead-letters/group/{first.fingerprint}/").content


def test_an_older_entry_that_is_still_open_did_not_come_back() -> None:
    first, second = failed("disk full"), failed("disk full")
    dead_letters.resolve([second.id], "sara", "one of them")
    assert first.fingerprint == second.fingerprint
    assert not letters.groups(letters.entries(), 10).lines[0].came_back


def test_a_filter_is_reprocessed_with_another_argument_and_priority(sara: Client) -> None:
    failed("disk full", seconds=5)
    failed("disk full", seconds=6)
    other = failed("no price", seconds=5)
    fields = preview(sara, "reprocess", "q=disk")
    late = failed("disk full", seconds=5)
    answer = sara.post("/jobs/dead-letters/reprocess/", {**fields, "argument": "seconds", "value": "0.5", "priority": "2", "pace": ""})
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"/jobs/batches/{batch.pk}/", "as the bulk actions of the list"
    assert (batch.state, batch.total, batch.done) == ("done", 2, 2)
    assert statuses() == ["pending", "pending", "failed", "failed"]
    assert [(job.kwargs, job.priority) for job in Job.objects.filter(status="pending")] == [({"seconds": 0.5}, 2)] * 2
    assert set(DeadLetterQueue.objects.filter(resolution="open").values_list("id", flat=True)) == {other.id, late.id}
    assert Audit.objects.filter(verb="reprocess", actor="sara").count() == 2


@pytest.mark.parametrize(
    "wrong", [{"argument": "seconds", "value": "soon"}, {"argument": "seconds", "value": '"soon"'}, {"argument": "seconds", "value": ""},
              {"argument": "minutes", "value": "1"}, {"argument": "", "value": "5"}, {"priority": "10"}, {"pace": "7"}],
)  # fmt: skip
def test_what_does_not_fit_is_an_error_on_its_field(sara: Client, wrong: dict[str, str]) -> None:
    failed("disk full", seconds=5)
    fields = preview(sara, "reprocess", "q=disk")
    answer = sara.post("/jobs/dead-letters/reprocess/", {**fields, **wrong})
    assert answer.status_code == 422
    assert b'class="wrong"' in answer.content
    assert statuses() == ["failed"]


def test_a_value_for_no_argument_says_where_to_choose_one(sara: Client) -> None:
    failed("disk full", seconds=5)
    answer = sara.post("/jobs/dead-letters/reprocess/", {**preview(sara, "reprocess", "q=disk"), "argument": "", "value": '"EUR"'})
    assert answer.context["form"].errors == {"argument": ["Select the argument you want to change, or clear the value."]}
    assert 'value="&quot;EUR&quot;"' in answer.content.decode(), "what was typed is still there"


@pytest.mark.parametrize("how", [{"pace": "10"}, {"trial": "on"}])
def test_a_pace_or_a_trial_goes_on_in_the_background(sara: Client, how: dict[str, str]) -> None:
    for _ in range(3):
        entry = failed("disk full")
    fields = preview(sara, "reprocess", f"group={entry.fingerprint}")
    answer = sara.post("/jobs/dead-letters/reprocess/", {**fields, **how})
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"/jobs/batches/{batch.pk}/"
    assert (batch.total, batch.actor, batch.source) == (3, "sara", "page")
    assert statuses() == ["failed"] * 3
    batches.go_on()
    assert statuses().count("pending") == 1
    assert b"0 of 3" not in sara.get(f"/jobs/batches/{batch.pk}/").content
    sara.post(f"/jobs/batches/{batch.pk}/stop/")
    assert b"Stopped by sara." in sara.get(f"/jobs/batches/{batch.pk}/").content
    assert sara.get("/jobs/batches/").status_code == 200


def test_many_are_resolved_with_a_note(sara: Client) -> None:
    for _ in range(3):
        failed("disk full")
    fields = preview(sara, "resolve", "q=disk")
    assert sara.post("/jobs/dead-letters/resolve/", fields).status_code == 422  # without a note
    sara.post("/jobs/dead-letters/resolve/", {**fields, "note": "bought a disk"})
    assert set(DeadLetterQueue.objects.values_list("resolution", "note")) == {("resolved", "bought a disk")}


def test_a_single_entry_is_reprocessed_from_its_job(sara: Client) -> None:
    entry, other = failed("disk full"), failed("disk full")
    assert f"?entry={entry.id}" in sara.get(f"/jobs/{entry.job_id}/").content.decode()
    sara.post("/jobs/dead-letters/reprocess/", preview(sara, "reprocess", f"entry={entry.id}"))
    assert statuses() == ["pending", "failed"]
    assert other.resolution == "open"


@pytest.mark.parametrize(
    "query", ["q=%00", "q=" + "9" * 30, "entry=many", "until=-5", "group=%27", "task=x&error_class=y", "show=x", "before=x"]
)
def test_nonsense_in_the_address_is_no_error(sara: Client, query: str) -> None:
    failed("disk full")
    for path in ("", "reprocess/", "resolve/"):
        assert sara.get(f"/jobs/dead-letters/{path}?{query}").status_code == 200


def test_those_who_may_only_look_change_nothing(client: Client) -> None:
    user = get_user_model().objects.create_user("omar", "", "x")
    user.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(user)
    failed("disk full")
    batch = batches.start(batches.Verb.RESOLVE, [1], batches.Actor(name="sara"), entries=True, note="x")
    assert client.get("/jobs/dead-letters/").status_code == 200
    assert client.get("/jobs/dead-letters/reprocess/").status_code == 403
    assert client.post("/jobs/dead-letters/resolve/", {"until": "99", "note": "x"}).status_code == 403
    assert client.post(f"/jobs/batches/{batch.pk}/stop/").status_code == 403
    assert statuses() == ["failed"]


def test_the_spark_line_counts_the_hours() -> None:
    entry = failed("disk full")
    last = timezone.now().replace(minute=30) - timedelta(hours=3)
    DeadLetterQueue.objects.filter(id=entry.id).update(failed_at=last)
    hours = letters.groups(letters.entries(), 1).lines[0].hours
    assert (sum(hours), hours[letters.HOURS - 4]) == (1, 1)


def test_dead_letters_are_found_by_words_of_their_error_and_no_secret(sara: Client) -> None:
    entry, other = failed("cannot reach api.shop.example: password=hunter2"), failed("disk full")
    for indexed in (False, True):
        if indexed:
            with transaction.atomic(), connection.cursor() as cursor:
                assert search.fill(cursor, masking.positional)
        for query, wanted in (
            ("SHOP", [entry.id]), ("reach api", [entry.id]), ("ValueErr", [entry.id, other.id]), (str(other.job_id), [other.id]),
            ("hunter2", []), ("hunt", []), ("...", []), ("sleep", [entry.id, other.id]),
        ):  # fmt: skip
            page = sara.get("/jobs/dead-letters/", {"q": query}).context["page"]
            assert sorted(row.id for row in page.rows) == wanted, (query, indexed)


@pytest.mark.parametrize("indexed", [False, True])
def test_a_dead_letter_without_a_failed_run_is_found_too(sara: Client, indexed: bool) -> None:
    job = job_in("completed")
    if indexed:
        with transaction.atomic(), connection.cursor() as cursor:
            assert search.fill(cursor, masking.positional)
    control.fail_completed([job.id], "sara")
    rows = sara.get("/jobs/dead-letters/", {"q": "ManualFailure sara"}).context["page"].rows
    assert [row.job_id for row in rows] == [job.id]


def test_some_that_were_chosen_get_other_arguments(sara: Client) -> None:
    entries = [failed(f"order {number} has no price", seconds=1) for number in range(3)]
    chosen = {"action": "choose", "entry": [entries[0].id, entries[2].id]}
    answer = sara.post("/jobs/dead-letters/act/", chosen)
    page = sara.get(answer.headers["Location"])
    assert "Reprocess 2 jobs" in page.content.decode()
    fields = preview(sara, "reprocess", answer.headers["Location"].partition("?")[2])
    sara.post("/jobs/dead-letters/reprocess/", {**fields, "argument": "seconds", "value": "7"})
    assert [job.kwargs["seconds"] for job in Job.objects.order_by("id")] == [7, 1, 7]
    assert statuses() == ["pending", "failed", "pending"]


def test_nothing_chosen_is_not_everything(sara: Client) -> None:
    failed("disk full")
    answer = sara.post("/jobs/dead-letters/act/", {"action": "choose"}, follow=True)
    assert "Nothing was selected." in answer.content.decode()
    assert answer.request["PATH_INFO"] == "/jobs/dead-letters/"


def test_the_page_begins_with_a_sentence_about_how_many_problems_there_are(sara: Client) -> None:
    for number in range(3):
        failed(f"order {number} has no price")
    assert "of one kind of error" in sara.get("/jobs/dead-letters/").content.decode()
    failed("disk full")
    page = sara.get("/jobs/dead-letters/").content.decode()
    assert "4 open entries of 2 kinds of error; <a" in page
    assert "the most frequent one</a> accounts for 75% of them." in page


def test_groups_of_each_state_are_shown_with_the_note_they_were_closed_with(sara: Client) -> None:
    first, again = failed("disk full"), failed("no price")
    dead_letters.resolve([first.id], "sara", "bought a disk")
    dead_letters.reprocess([again.id], "sara")
    page = sara.get("/jobs/dead-letters/?show=resolved").content.decode()
    assert f'id="group-{first.fingerprint}"' in page
    assert "<q><bdi>bought a disk</bdi></q>" in page
    assert f'id="group-{again.fingerprint}"' not in page
    assert f'id="group-{again.fingerprint}"' in sara.get("/jobs/dead-letters/?show=reprocessed").content.decode()
    failed("disk full")
    group = sara.get(f"/jobs/dead-letters/group/{first.fingerprint}/").content.decode()
    assert "<bdi>sara</bdi> marked this error as resolved" in group
    assert "<q><bdi>bought a disk</bdi></q>" in group


def test_the_preview_warns_of_an_error_that_goes_on_and_says_how_long_each_pace_takes(sara: Client) -> None:
    for number in range(20):
        failed(f"order {number} has no price")
    page = sara.get("/jobs/dead-letters/reprocess/?q=price").content.decode()
    assert "20 of them failed in the last 10 minutes" in page
    assert "10 per second: 2 s in total" in page
    assert ">all at once</option>" in page
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_deadletterqueue SET failed_at = failed_at - interval '11 minutes'")
    assert "in the last 10 minutes" not in sara.get("/jobs/dead-letters/reprocess/?q=price").content.decode()


def test_the_spark_line_stands_where_the_hours_were_counted(sara: Client) -> None:
    failed("one")
    for address, shown in (("/jobs/dead-letters/", True), ("/", False)):
        content = sara.get(address).content.decode()
        assert "</bdi>: one" in content
        assert [text in content for text in ("Last 24 hours", "1 in 24 hours", "in 24 hours")] == [shown] * 3, address
