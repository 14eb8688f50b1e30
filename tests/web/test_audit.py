"""What people do is recorded with the change, by whom and from where, and the record stays as it is."""

import json
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction
from django.test import Client

from jobs import batches, control, dead_letters
from jobs.domain.actors import Actor, Source
from jobs.models import Audit, Batch, DeadLetterQueue
from jobs.models.audit import Verb
from jobs.store import audit as records
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.PAGE)
DEEP = "[" * 190 + "]" * 190


def told() -> list[tuple[Any, ...]]:
    return list(Audit.objects.order_by("id").values_list("verb", "job", "before", "after"))


def test_each_verb_is_recorded_with_what_changed() -> None:
    waiting, running, failed, done = (job_in(status) for status in ("pending", "running", "failed", "completed"))
    control.change_priority([waiting.id], 8, by=SARA)
    control.change_queue([waiting.id], "slow", by=SARA)
    control.cancel([waiting.id, running.id], by=SARA)
    control.reprocess([failed.id], by=SARA)
    control.fail_completed([done.id], by=SARA)
    control.delete([waiting.id], by=SARA)
    assert told() == [
        ("priority", waiting.id, {"priority": 5}, {"priority": 8}),
        ("queue", waiting.id, {"queue": "celery"}, {"queue": "slow"}),
        ("cancel", waiting.id, {"status": "pending"}, {"status": "cancelled"}),
        ("cancel", running.id, {"cancel asked": False}, {"cancel asked": True}),
        ("reprocess", failed.id, {"status": "failed"}, {"status": "pending"}),
        ("fail", done.id, {"status": "completed"}, {"status": "failed"}),
        ("delete", waiting.id, {"status": "cancelled", "priority": 8, "queue": "slow", "cancel asked": False}, {}),
    ]
    assert set(Audit.objects.values_list("actor", "source")) == {("sara", "page")}


def test_the_arguments_that_somebody_replaced_are_recorded_and_shown_without_secrets(sara: Client) -> None:
    job, other = job_in("failed"), job_in("failed")
    with connection.cursor() as cursor:
        kwargs = {"seconds": 1, "password": "hunter2", "same": [1], "kept": "x"}
        cursor.execute("UPDATE jobs_job SET kwargs = %s WHERE id = %s", [json.dumps(kwargs), job.id])
    entries = list(DeadLetterQueue.objects.values_list("id", flat=True))
    new = {"seconds": True, "password": "hunter3", "same": [1], "url": "postgres://a:hunter4@db/x"}
    batches.start(Verb.REPROCESS, entries, SARA, entries=True, arguments=new, priority=8, reason="the form was wrong")
    batches.go_on()
    job.refresh_from_db()
    assert job.kwargs == {**kwargs, **new}
    hidden = {"password": "***", "same": [1], "seconds": True, "url": "postgres://a:***@db/x"}
    record, second = (Audit.objects.get(job=one.id) for one in (job, other))
    assert record.before == {"status": "failed", "priority": 5, "arguments": {"seconds": 1, "password": "***"}}
    after = {name: value for name, value in hidden.items() if name != "same"}
    assert record.after == {"status": "pending", "priority": 8, "arguments": after}
    assert (second.before["arguments"], second.after["arguments"]) == ({"seconds": 0}, hidden)
    for language, word, priority in (("en", "Argument", "Priority"), ("ar", "المدخل", "الأولوية")):
        sara.cookies["django_language"] = language
        for address in (f"/jobs/{job.id}/", "/jobs/audit/"):
            page = sara.get(address).content.decode()
            for argument, old, now in (
                ("seconds", "1", "true"),
                ("password", "&quot;***&quot;", "&quot;***&quot;"),
                ("url", "–", "&quot;postgres:"),
            ):
                shown = (
                    rf'{word} \u2068{argument}\u2069: <bdi class="diff-old">{re.escape(old)}</bdi>.*?<bdi class="diff-new">{re.escape(now)}'
                )
                assert re.search(shown, page), (address, argument)
            assert "hunter" not in page
        page = sara.get(f"/jobs/batches/{Batch.objects.get().pk}/").content.decode()
        for label, value in (("\u2068seconds\u2069", "true"), ("\u2068password\u2069", "&quot;***&quot;"), (priority, "8")):
            assert re.search(rf"<dt>[^<]*{label}</dt><dd><bdi>{re.escape(value)}</bdi></dd>", page), label
        assert "<bdi>the form was wrong</bdi>" in page
        assert "hunter" not in page


@pytest.mark.parametrize(
    ("old", "kept"),
    [
        (json.dumps("x" * 5_000), '"' + "x" * 1_999 + "…"), ('"a\\u0000\u202eb"', "a\0\u202eb"),
        ('"\\ud800"', '"\\ud800"'), ("1e400", "Infinity"),
        ('{"a": [null], "token": "hunter2"}', {"a": [None], "token": "***"}), (DEEP, json.loads(DEEP)),
    ],
    ids=["long", "signs", "half", "infinite", "nested", "deep"],
)  # fmt: skip
def test_any_argument_can_be_recorded(sara: Client, old: str, kept: Any) -> None:
    job = job_in("failed")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET kwargs = %s", [f'{{"seconds": {old}}}'])
    control.reprocess([job.id], by=SARA, arguments={"seconds": 2})
    record = Audit.objects.get()
    assert record.before["arguments"] == {"seconds": kept}
    for address in (f"/jobs/{job.id}/", "/jobs/audit/", f"/admin/jobs/audit/{record.pk}/change/"):
        assert sara.get(address).status_code == 200


def test_what_was_refused_is_not_recorded() -> None:
    done = job_in("completed")
    assert control.cancel([done.id, 10**12], by=SARA).done == []
    assert told() == []


def test_decisions_about_dead_letters_are_recorded_with_their_note() -> None:
    first, second = job_in("failed"), job_in("failed")
    entries = dict(DeadLetterQueue.objects.values_list("job_id", "id"))
    dead_letters.notify([entries[first.id]], by=SARA)
    dead_letters.resolve([entries[first.id]], by=SARA, note="known")
    dead_letters.resolve([entries[first.id]], by=SARA, note="again")  # refused
    dead_letters.reprocess([entries[second.id]], by=SARA)
    assert [row[:2] for row in told()] == [("notify", first.id), ("resolve", first.id), ("reprocess", second.id)]
    assert Audit.objects.get(verb="resolve").note == "known"


def test_the_record_goes_with_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_in("pending")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(records, "write", broken)
    with pytest.raises(RuntimeError):
        control.cancel([job.id], by=SARA)
    job.refresh_from_db()
    assert job.status == "pending"


@pytest.mark.parametrize("sql", ["UPDATE jobs_audit SET actor = 'nobody'", "DELETE FROM jobs_audit"])
def test_a_record_cannot_be_changed(sql: str) -> None:
    control.cancel([job_in("pending").id], by=SARA)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert Audit.objects.get().actor == "sara"


def test_page_and_admin_are_told_apart(sara: Client) -> None:
    first, second = job_in("pending"), job_in("pending")
    sara.post(f"/jobs/{first.id}/cancel/")
    sara.post("/admin/jobs/job/", {"action": "cancel_jobs", "_selected_action": [second.id]})
    assert list(Audit.objects.order_by("id").values_list("job", "source")) == [(first.id, "page"), (second.id, "admin")]


def test_the_page_filters(sara: Client) -> None:
    job, other = job_in("pending", name="wanted"), job_in("pending", name="unwanted")
    control.change_priority([job.id, other.id], 1, by=SARA)
    control.cancel([other.id], by=Actor(name="omar", source=Source.API))
    assert sara.get("/jobs/audit/").content.count(b'<th scope="row"') == 3
    for query, number in (
        (f"job={job.id}", 1),
        ("actor=omar", 1),
        ("verb=priority", 2),
        ("source=api", 1),
        ("verb=priority&actor=omar", 0),
    ):
        assert sara.get(f"/jobs/audit/?{query}").content.count(b'<th scope="row"') == number
    assert sara.get("/jobs/audit/?job=many").status_code == 200
    assert b"sara" in sara.get(f"/jobs/{job.id}/").content
    assert sara.get("/admin/jobs/audit/").status_code == 200
    assert sara.post(f"/admin/jobs/audit/{Audit.objects.first().pk}/change/", {"actor": "x"}).status_code == 403  # type: ignore[union-attr]


def test_the_audit_needs_its_permission(client: Client) -> None:
    user = get_user_model().objects.create_user("omar", "", "x")
    user.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(user)
    assert client.get("/jobs/audit/").status_code == 403
    assert b"/jobs/audit/" not in client.get("/jobs/").content


def test_what_the_verb_says_is_not_said_again(sara: Client) -> None:
    job = job_in("pending")
    control.change_priority([job.id], 9, "sara")
    control.cancel([job.id], "sara")
    for address in (f"/jobs/{job.id}/", "/jobs/audit/"):
        page = sara.get(address).content.decode()
        assert "Priority: <bdi" not in page
        assert 'State: <bdi class="diff-old">Pending</bdi>' in page
