"""The list of jobs renews itself, and lets the person at it work."""

import re
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from jobs import control, enqueue
from jobs.models import Job
from tests.browser.login import PATIENCE, log_in
from tests.browser.test_look import take_picture
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

TROUBLES: list[str] = []  # what the browser complains about


def login(context: BrowserContext) -> Page:
    page = context.new_page()
    page.on("console", lambda message: TROUBLES.append(message.text))
    log_in(page)
    return page


@pytest.fixture
def context(browser: Browser, live_server: Any, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    get_user_model().objects.create_superuser("sara", "", "secret")
    context = browser.new_context(locale="ar", base_url=live_server.url, java_script_enabled=getattr(request, "param", True))
    context.set_default_timeout(PATIENCE)
    TROUBLES.clear()
    yield context
    context.close()
    assert TROUBLES == []


def test_the_list_shows_what_is_new_and_keeps_the_focus(context: BrowserContext) -> None:
    page = login(context)
    first = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="first")
    page.goto("/jobs/")
    page.fill("#q", "half a word")
    page.focus(f"#job-{first.id}")
    second = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="second")
    control.cancel([first.id], by="omar")
    expect(page.locator(f"#job-{second.id}")).to_be_visible()
    expect(page.locator("#tab-cancelled b")).to_have_text("1")
    assert page.evaluate("document.activeElement.id") == f"job-{first.id}"
    assert page.input_value("#q") == "half a word"


def test_nothing_is_asked_for_while_the_tab_is_hidden(context: BrowserContext) -> None:
    page = login(context)
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 1})
    page.clock.install()
    page.goto("/jobs/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/static/" not in request.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    page.clock.run_for(20_000)
    assert asked == []
    page.evaluate("delete document.hidden")
    with page.expect_response(lambda answer: answer.url.endswith("/jobs/")):
        page.clock.run_for(3_500)


def test_a_row_that_is_chosen_while_the_list_is_on_its_way_stays_chosen(context: BrowserContext) -> None:
    page = login(context)
    first = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1})
    page.goto("/jobs/")
    held: list[Route] = []
    page.route("**/jobs/", lambda route: route.continue_() if held else held.append(route))
    second = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1})
    until(lambda: page.wait_for_timeout(50) or held, timeout=60, what="the list is asked for")
    page.check(f"#pick-{first.id}")
    page.evaluate("document.addEventListener('htmx:afterOnLoad', () => { document.body.id = 'came'; })")
    held[0].continue_()
    page.wait_for_selector("#came")
    expect(page.locator(f"#pick-{first.id}")).to_be_checked()
    page.uncheck(f"#pick-{first.id}")
    expect(page.locator(f"#job-{second.id}")).to_be_visible()


@pytest.mark.slow
def test_a_list_that_has_not_changed_is_left_alone_and_asked_for_less_often(context: BrowserContext) -> None:
    page = login(context)
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, delay=86_400 * 40)
    page.goto("/jobs/")
    page.evaluate("document.querySelector('#live').marked = true")
    until(lambda: page.wait_for_timeout(50) or not page.evaluate("document.querySelector('#live').marked"), what="the first answer is in")
    answers: list[tuple[int, float]] = []
    page.on("response", lambda answer: answers.append((answer.status, time.monotonic())) if answer.url.endswith("/jobs/") else None)
    page.evaluate("document.querySelector('#live').marked = true")
    until(lambda: page.wait_for_timeout(100) or len(answers) >= 6, timeout=60)
    assert {status for status, _ in answers} == {204}
    assert page.evaluate("document.querySelector('#live').marked")
    pauses = [after - before for (_, before), (_, after) in pairwise(answers)]
    assert max(pauses[3:]) > 1.5 * min(pauses[:2])
    control.cancel([job.id], by="omar")
    expect(page.locator("#tab-cancelled b")).to_have_text("1")
    assert not page.evaluate("document.querySelector('#live').marked")


def test_a_paused_list_stays_as_it_is(context: BrowserContext) -> None:
    page = login(context)
    page.clock.install()
    page.goto("/jobs/?status=queued")
    page.click(".live a")
    page.wait_for_url(re.compile("live=off"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/static/" not in request.url else None)
    page.clock.run_for(20_000)
    assert asked == []
    page.click(".live a")
    page.wait_for_url(re.compile(r"/jobs/\?status=queued$"))


@pytest.mark.parametrize("context", [False], indirect=True)
def test_the_list_works_without_javascript(context: BrowserContext) -> None:
    page = login(context)
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="wanted")
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="other")
    page.goto("/jobs/")
    page.fill("#q", "wanted")
    page.click(".filters button")
    expect(page.locator("#live tbody tr")).to_have_count(1)
    expect(page.locator("#live")).to_contain_text("wanted")


def test_an_open_table_of_a_jobs_life_stays_open_and_goes_on(context: BrowserContext) -> None:
    page = login(context)
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1})
    page.goto(f"/jobs/{job.id}/")
    expect(page.locator("#line-table")).to_be_visible()
    page.click("#line-table summary")
    length = page.locator("#line-table tbody td").last
    before = length.inner_text()
    expect(length).not_to_have_text(before)
    expect(length).to_be_visible()


def leave(page: Page) -> None:
    """What the browser has said of the requests that failed was wanted; none is under way any more that it could say more of."""
    page.goto("about:blank")
    assert TROUBLES
    TROUBLES.clear()


def test_what_is_not_renewed_is_not_called_live(context: BrowserContext) -> None:
    page = login(context)
    page.clock.install()
    page.goto("/")
    note, live, said = page.locator("#stale"), page.locator(".live-now"), page.locator("#said")

    def polled(times: int) -> None:
        for _ in range(times):
            with page.expect_event("requestfinished", lambda request: "/static/" not in request.url):
                page.clock.run_for(3_000)

    page.route("/", lambda route: route.fulfill(status=500, body=""))
    polled(1)
    expect(live).to_contain_text("مباشر")
    polled(1)
    expect(note).to_have_text(re.compile("أخطاء.*[0-9]{2}:[0-9]{2}"))
    expect(said).to_have_text(note.inner_text())
    expect(live).to_be_hidden()
    take_picture(page, "stale.ar")
    page.unroute("/")
    polled(1)
    expect(note).to_be_hidden()
    expect(live).to_be_visible()
    page.route("/", lambda route: route.abort())
    until(lambda: page.clock.run_for(3_000) or note.is_visible(), timeout=60, what="nothing came twice")
    expect(note).to_contain_text("الخادم لا يجيب")
    leave(page)


def test_the_page_of_a_job_that_was_deleted_says_so_and_asks_no_more(context: BrowserContext) -> None:
    page = login(context)
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, delay=86_400)
    page.clock.install()
    page.goto(f"/jobs/{job.id}/")
    Job.objects.filter(pk=job.pk).delete()
    cache.clear()
    until(lambda: page.clock.run_for(1_000) or page.locator("#stale").is_visible(), timeout=60, what="the page says that its job is gone")
    expect(page.locator("#stale")).to_contain_text("حُذفت هذه المهمة")
    asked = answered(page)
    page.clock.run_for(20_000)
    assert asked == []
    leave(page)


def answered(page: Page) -> list[tuple[str, str, int]]:
    """What is answered from now on, without what is static: method, path, status."""
    found: list[tuple[str, str, int]] = []
    page.on(
        "response",
        lambda answer: (
            found.append((answer.request.method, urlsplit(answer.url).path, answer.status)) if "/static/" not in answer.url else None
        ),
    )
    return found


def test_a_refused_form_is_sent_once_and_its_page_goes_on_living(context: BrowserContext) -> None:
    page = login(context)
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, delay=86_400)
    page.goto(f"/jobs/{job.id}/")
    page.evaluate("document.querySelector('#reason').value = 'pasted\\0'")
    seen = answered(page)
    page.click("#change-priority")
    expect(page.locator(".wrong")).to_be_visible()
    sent, asked = ("POST", f"/jobs/{job.id}/priority/", 422), ("GET", f"/jobs/{job.id}/")
    until(lambda: page.wait_for_timeout(50) or seen[-3:].count(sent) == 0 < seen.count(sent), timeout=60, what="it is asked for again")
    assert seen.count(sent) == 1
    assert {one[:2] for one in seen if one != sent} == {asked}  # one may have been under way before
    expect(page.locator(".wrong")).to_be_visible()
    control.cancel([job.id], by="omar")
    expect(page.locator(".state-pill.state-cancelled")).to_be_visible()
    TROUBLES[:] = [text for text in TROUBLES if "status of 422" not in text]


def test_an_address_with_zeros_in_front_is_opened_once(context: BrowserContext) -> None:
    page = login(context)
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, delay=86_400)
    seen = answered(page)
    page.goto(f"/jobs/00{job.id}/")
    until(lambda: page.wait_for_timeout(50) or len(seen) >= 4, timeout=60, what="the live part was asked for three times")
    assert [path for _, path, _ in seen] == [f"/jobs/00{job.id}/"] + [f"/jobs/{job.id}/"] * (len(seen) - 1)


def test_an_expired_login_leads_from_a_refused_form_to_the_login_and_back(context: BrowserContext) -> None:
    page = login(context)
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, delay=86_400)
    page.goto(f"/jobs/{job.id}/")
    page.evaluate("document.querySelector('#reason').value = 'pasted\\0'")
    page.click("#change-priority")
    expect(page.locator(".wrong")).to_be_visible()
    page.fill("#reason", "سبب طويل")
    page.evaluate("document.activeElement.blur()")
    cache.clear()  # who looks is known for some seconds
    context.clear_cookies(name="sessionid")
    page.wait_for_url("**/accounts/login/?next=/jobs/*/")
    page.fill("#id_username", "sara")
    page.fill("#id_password", "secret")
    page.click("form button.btn-main")
    page.wait_for_url(f"**/jobs/{job.id}/")
    expect(page.locator("#reason")).to_have_value("سبب طويل")
    TROUBLES[:] = [text for text in TROUBLES if "status of 422" not in text]
