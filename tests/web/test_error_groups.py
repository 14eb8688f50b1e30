"""Who looks after an error, and the snooze of its notices: on its page and in the admin."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from jobs import control, error_groups
from jobs.leader import notices
from jobs.models import Audit, DeadLetterQueue, ErrorGroup, Job
from jobs.store import letters
from tests.rows import job_in

pytestmark = pytest.mark.django_db
LETTERS = "/admin/jobs/deadletterqueue/"


@pytest.fixture
def entry() -> DeadLetterQueue:
    return DeadLetterQueue.objects.get(job=job_in("failed"))


def address(entry: DeadLetterQueue, verb: str = "") -> str:
    return f"/jobs/dead-letters/group/{entry.fingerprint}/{verb}"


def test_an_account_that_may_decide_becomes_the_owner(sara: Client, entry: DeadLetterQueue) -> None:
    omar = get_user_model().objects.create_user("omar", "", "x")
    omar.user_permissions.add(Permission.objects.get(codename="triage_deadletterqueue"))
    get_user_model().objects.create_user("guest", "", "x")
    assert b"Assign it to me" in sara.get(address(entry)).content
    assert sara.post(address(entry, "owner/"), {"owner": "omar"}).status_code == 302
    assert letters.groups(letters.entries(), 5).lines[0].owner == "omar"
    for page in ("/", "/jobs/dead-letters/", address(entry), LETTERS, f"{LETTERS}{entry.pk}/change/"):
        assert "omar" in sara.get(page).content.decode(), page
    for wrong in ("guest", "nobody at all", "o\0mar"):
        assert sara.post(address(entry, "owner/"), {"owner": wrong}).status_code == 422, wrong
    assert ErrorGroup.objects.get().owner == "omar"
    sara.post(address(entry, "owner/"), {"owner": ""})
    assert letters.groups(letters.entries(), 5).lines[0].owner == ""
    acts = list(Audit.objects.filter(verb="own").order_by("id").values_list("actor", "error_group", "before", "after"))
    assert acts == [
        ("sara", entry.fingerprint, {"owner": ""}, {"owner": "omar"}),
        ("sara", entry.fingerprint, {"owner": "omar"}, {"owner": ""}),
    ]
    assert address(entry) in sara.get("/jobs/audit/").content.decode()


def test_the_same_owner_again_is_no_change(entry: DeadLetterQueue) -> None:
    assert error_groups.own([entry.fingerprint], "sara", "sara") == [entry.fingerprint]
    assert error_groups.own([entry.fingerprint], "sara", "sara") == []
    assert Audit.objects.filter(verb="own").count() == 1


def test_a_group_without_letters_is_not_known(sara: Client) -> None:
    assert error_groups.own(["no such group"], "sara", "sara") == []
    assert not ErrorGroup.objects.exists()
    assert sara.post("/jobs/dead-letters/group/nosuch/owner/", {"owner": "sara"}).status_code == 404
    assert sara.post("/jobs/dead-letters/group/nosuch/snooze/", {"until_when": "1"}).status_code == 404


@pytest.mark.parametrize(("chosen", "hours"), [("1", 1), ("4", 4), ("168", 168)])
def test_the_notices_are_snoozed_for_a_while(sara: Client, entry: DeadLetterQueue, chosen: str, hours: int) -> None:
    assert sara.post(address(entry, "snooze/"), {"until_when": chosen}).status_code == 302
    until = ErrorGroup.objects.get().snoozed_until
    assert until is not None
    assert abs((until - timezone.now()).total_seconds() - hours * 3600) < 60
    for page in ("/", "/jobs/dead-letters/", address(entry)):
        assert "snoozed until" in sara.get(page).content.decode(), page
    sara.post(address(entry, "snooze/"), {"until_when": "end"})
    assert ErrorGroup.objects.get().snoozed_until is None
    assert "snoozed until" not in sara.get("/jobs/dead-letters/").content.decode()
    assert list(Audit.objects.order_by("id").values_list("verb", flat=True)) == ["snooze", "wake"]
    assert Audit.objects.get(verb="wake").after == {"snoozed until": None}


def test_tomorrow_is_that_of_the_visitor(sara: Client, entry: DeadLetterQueue) -> None:
    sara.cookies["timezone"] = "Asia/Riyadh"
    sara.post(address(entry, "snooze/"), {"until_when": "morning"})
    until = ErrorGroup.objects.get().snoozed_until
    assert until is not None
    assert (until.hour, until.minute) == (6, 0)
    assert timedelta() < until - timezone.now() <= timedelta(hours=33)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"until_when": "2"}, {"until_when": "at"}, {"until_when": "at", "at": "soon"}, {"until_when": "at", "at": "2020-01-01T00:00"},
     {"until_when": "at", "at": "2999-01-01T00:00"}, {"until_when": "at", "at": "2026-13-41T99:99"}],
)  # fmt: skip
def test_a_time_that_makes_no_sense_snoozes_nothing(sara: Client, entry: DeadLetterQueue, wrong: dict[str, str]) -> None:
    answer = sara.post(address(entry, "snooze/"), wrong)
    assert answer.status_code == 422
    assert 'class="wrong"' in answer.content.decode()
    assert not ErrorGroup.objects.exclude(snoozed_until=None).exists()
    assert not Audit.objects.exists()


def test_a_snooze_has_an_end_in_sight(entry: DeadLetterQueue) -> None:
    for days in (-1, 31):
        with pytest.raises(ValueError, match=r"past|at most|الماضي|أقصى"):
            error_groups.snooze([entry.fingerprint], timezone.now() + timedelta(days=days), "sara")


def test_a_snooze_that_is_over_is_not_shown(sara: Client, entry: DeadLetterQueue) -> None:
    ErrorGroup.objects.create(fingerprint=entry.fingerprint, snoozed_until=timezone.now() - timedelta(minutes=1))
    assert letters.groups(letters.entries(), 5).lines[0].snoozed_until is None
    assert "snoozed until" not in sara.get(address(entry)).content.decode()
    assert error_groups.wake([entry.fingerprint], "sara") == []


def test_who_may_only_look_sees_no_form(entry: DeadLetterQueue, client: Client) -> None:
    omar = get_user_model().objects.create_user("omar", "", "x")
    omar.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(omar)
    assert "/snooze/" not in client.get(address(entry)).content.decode()
    assert client.post(address(entry, "snooze/"), {"until_when": "1"}).status_code == 403
    assert client.post(address(entry, "owner/"), {"owner": "omar"}).status_code == 403
    assert not ErrorGroup.objects.exists()


def act(client: Client, name: str, entry: DeadLetterQueue, **more: Any) -> Any:
    return client.post(LETTERS, {"action": name, "_selected_action": [entry.pk], **more}, follow=True)


def test_the_admin_does_the_same(sara: Client, entry: DeadLetterQueue) -> None:
    assert "You are now the owner of 1 error." in act(sara, "own_groups", entry).content.decode()
    assert ErrorGroup.objects.get().owner == "sara"
    asked = act(sara, "snooze_groups", entry).content.decode()
    assert 'name="until_when"' in asked
    assert ErrorGroup.objects.get().snoozed_until is None
    wrong = act(sara, "snooze_groups", entry, confirmed="1", until_when="at", at="2020-01-01T00:00")
    assert "This time is in the past." in wrong.content.decode()
    assert "are snoozed" in act(sara, "snooze_groups", entry, confirmed="1", until_when="4").content.decode()
    assert ErrorGroup.objects.get().snoozed_until is not None
    assert "are sent again" in act(sara, "wake_groups", entry).content.decode()
    assert "No changes were needed." in act(sara, "wake_groups", entry).content.decode()
    assert set(Audit.objects.values_list("verb", "source")) == {("own", "admin"), ("snooze", "admin"), ("wake", "admin")}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("ar", "\u2068حوّلها \u2068sara\u2069 إلى فاشلة لتجربة قائمة المهام الميتة\u2069"),
        ("en", "\u2068Turned into a failure by \u2068sara\u2069 to test the Dead Letter Queue\u2069"),
    ],
)
def test_who_made_a_failure_is_said_in_the_language_of_each_reader(sara: Client, settings: Any, language: str, sentence: str) -> None:
    job = job_in("completed")
    control.fail_completed([job.id], "sara")
    entry = DeadLetterQueue.objects.get(job=job)
    error_groups.own([entry.fingerprint], "sara", "sara")
    sara.cookies["django_language"] = language
    for page in (
        "/", "/jobs/", "/jobs/dead-letters/", f"/jobs/dead-letters/group/{entry.fingerprint}/", "/jobs/dead-letters/reprocess/",
        "/jobs/audit/",
    ):  # fmt: skip
        assert f'<bdi dir="ltr">ManualFailure</bdi>: {sentence}' in sara.get(page).content.decode(), page
    for page in (f"/admin/jobs/deadletterqueue/{entry.id}/change/", f"/admin/jobs/job/{job.id}/change/"):
        assert sentence in sara.get(page).content.decode(), page
    shown = re.sub("[\u2068\u2069]", "", sentence)
    assert shown[:50] in sara.get("/admin/jobs/deadletterqueue/").content.decode()
    settings.LANGUAGE_CODE = language
    latest = (job.task, entry.error_class, entry.message, 1, 0, "", "", None)
    assert sentence in notices._mail(1, [(job.id, job.name, job.queue)], latest, ["a@b.example"], "").body
    assert "Turned into a failure by sara" in Job.objects.get(pk=job.pk).last_error, "for programs it stays as it is"
