"""Without ADMIN_EMAILS nobody gets a notice: no page promises one."""

from typing import Any

import pytest
from django.test import Client

from jobs.models import DeadLetterQueue
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SETTING = "ADMIN_EMAILS is empty"
SENDERS = [  # the address, the form without the chosen entry
    ("/jobs/dead-letters/act/", {"action": "notify"}, "entry"),
    ("/admin/jobs/deadletterqueue/", {"action": "notify_entries"}, "_selected_action"),
]


@pytest.fixture(params=[[], ["omar@example.com"]], ids=["nobody", "omar"])
def told(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.ADMIN_EMAILS = request.param
    return bool(request.param)


@pytest.mark.parametrize(("address", "form", "name"), SENDERS)
def test_sending_the_notice(sara: Client, told: bool, address: str, form: dict[str, str], name: str) -> None:
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    content = sara.post(address, {**form, name: entry.pk}, follow=True, headers={"accept-language": "en"}).content.decode()
    assert ("The notice for 1 entry is being sent now." in content, SETTING in content) == (told, not told)
    assert ("Nobody receives the notice for 1 entry" in content) == (not told)


def test_the_page_of_an_error(sara: Client, told: bool) -> None:
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    address = f"/jobs/dead-letters/group/{entry.fingerprint}/"
    content = sara.get(address).content.decode()
    assert ("<dd>are sent</dd>" in content, SETTING in content) == (told, not told)
    sara.post(f"{address}snooze/", {"until_when": "1"})
    content = sara.get(address).content.decode()
    assert "snoozed until" in content
    assert ("are reported in one email afterwards" in content, SETTING in content) == (told, not told)
    content = sara.post(f"{address}snooze/", {"until_when": "end"}, follow=True).content.decode()
    assert ("are sent again" in content, "The snooze has ended." in content) == (told, not told)


def test_the_form_of_a_job_without_retries(sara: Client, told: bool) -> None:
    content = sara.post("/jobs/create/", {"task": "jobs.tasks.sleep", "max_retries": "0"}).content.decode()
    assert ("and a notice is emailed" in content, SETTING in content) == (told, not told)
