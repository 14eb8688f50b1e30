"""From every answer there is a way on: an address that takes POST alone leads to its page, a choice or a login back to where one was."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs import batches
from jobs.models import Batch, DeadLetterQueue
from tests.rows import job_in

pytestmark = pytest.mark.django_db
HERE = "http://testserver"


@pytest.fixture
def group() -> str:
    """The page of the error of a job that failed."""
    job_in("failed")
    return f"/jobs/dead-letters/group/{DeadLetterQueue.objects.get().fingerprint}/"


def draft(job: int) -> str:
    new = Batch.objects.create(verb="priority", actor="sara", source="page", ids=[job], total=1, options={}, state="draft", reasons={})
    return f"/jobs/batches/{new.pk}/"


def refused(client: Client, page: str, **headers: str) -> dict[str, Any]:
    """The answers (422) to forms of each page that are wrong, by their addresses."""
    job = job_in("pending").pk
    forms: dict[str, dict[str, str]] = {
        f"{page}snooze/": {"until_when": "at", "at": "2001-01-01T00:00"},
        f"{page}owner/": {"owner": "nobody knows him"},
        f"/jobs/{job}/priority/": {"priority": "5", "reason": "x" * 2001},
        f"{draft(job)}confirm/": {"priority": "11"},
    }
    answers = {address: client.post(address, given, headers=headers) for address, given in forms.items()}
    assert {answer.status_code for answer in answers.values()} == {422}
    return answers


def next_of(answer: Any) -> set[str]:
    """Where the forms of the page want to go on."""
    return {unescape(found) for found in re.findall(r'name="next" value="([^"]*)"', answer.content.decode())}


def test_a_choice_on_a_refused_form_leads_to_its_page(sara: Client, group: str) -> None:
    for address, answer in refused(sara, group).items():
        page = address.rsplit("/", 2)[0] + "/"
        for target in next_of(answer):
            for door, choice in (("/language/", {"language": "en"}), ("/preferences/", {"theme": "dark"})):
                end = sara.post(door, {**choice, "next": target}, follow=True)
                assert (end.status_code, end.request["PATH_INFO"]) == (200, page)


def test_it_leads_to_the_very_view_from_which_the_form_was_sent(sara: Client, group: str) -> None:
    for answer in refused(sara, group, Referer=f"{HERE}{group}?show=resolved&before=7").values():
        assert next_of(answer) == {f"{group}?show=resolved&before=7"}


@pytest.mark.parametrize(
    "page", ["https://evil.example/", "http://testserver.evil.example/", "http://[/", "javascript:alert(1)", "about:blank"]
)
def test_a_page_elsewhere_is_no_way_back(sara: Client, group: str, page: str) -> None:
    for address, answer in refused(sara, group, Referer=page).items():
        assert next_of(answer) == {address}


def test_an_address_that_looks_like_another_host_stays_here(sara: Client, group: str) -> None:
    for answer in refused(sara, group, Referer=f"{HERE}//evil.example/").values():
        assert next_of(answer) == {"/%2Fevil.example/"}


def test_what_stands_behind_a_posted_address_goes_along(sara: Client, group: str) -> None:
    answer = sara.get(f"{group}snooze/?show=resolved", follow=True)
    assert (answer.status_code, answer.redirect_chain) == (200, [(f"{group}?show=resolved", 302)])


def test_who_opens_the_address_of_a_logout_comes_to_the_dashboard(sara: Client) -> None:
    assert sara.get("/accounts/logout/").headers["Location"] == "/"
    assert sara.put("/accounts/logout/").status_code == 405


@pytest.mark.parametrize(
    ("before", "after"), [("", "/jobs/dead-letters/"), (f"{HERE}/jobs/dead-letters/?q=order", "/jobs/dead-letters/?q=order")]
)
def test_after_a_login_that_had_ended_the_page_says_that_nothing_was_done(client: Client, before: str, after: str) -> None:
    get_user_model().objects.create_superuser("sara", "", "secret")
    client.cookies["django_language"] = "en"
    job_in("failed")
    given = {"action": "notify", "entry": str(DeadLetterQueue.objects.get().pk)}
    asked = client.post("/jobs/dead-letters/act/", given, headers={"Referer": before} if before else {}, follow=True)
    entered = client.post(asked.redirect_chain[0][0], {"username": "sara", "password": "secret"}, follow=True)
    assert (entered.status_code, entered.redirect_chain[-1][0]) == (200, after)
    assert "nothing was changed" in entered.content.decode()
    assert not DeadLetterQueue.objects.exclude(notified_at=None).exists()


def test_the_filters_of_the_list_are_still_set_after_a_preview(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job_in("pending", name="Invoice & co", queue="slow").pk for _ in range(2)]
    filters = {"q": "Invoice & co", "status": "queued", "queue": "slow"}
    way = "?q=Invoice+%26+co&amp;status=queued&amp;queue=slow"
    answer = sara.post("/jobs/bulk/", {"verb": "priority", "job": jobs, **filters}, follow=True)
    draft, page = Batch.objects.get().pk, answer.content.decode()
    assert page.count(f'href="/jobs/{way}"') == 2
    confirm = f"/jobs/batches/{draft}/confirm/{way}"
    assert f'action="{confirm}"' in page
    assert sara.post(unescape(confirm), {"priority": "11"}).content.decode().count(f'href="/jobs/{way}"') == 2
    for given, most in ({}, 10), ({"job": jobs}, 1):
        monkeypatch.setattr(batches, "MOST", most)
        assert sara.post("/jobs/bulk/", {"verb": "priority", **given, **filters}).headers["Location"] == unescape(f"/jobs/{way}")
