"""A person creates jobs in the browser and watches them end."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, Page, expect

from jobs.models import DeadLetterQueue, Job
from tests.browser.login import PATIENCE, log_in
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
BUTTONS = {"ar": "إنشاء مهمة", "en": "Create a job"}


@pytest.fixture(params=["ar", pytest.param("en", marks=pytest.mark.slow)])
def desk(request: pytest.FixtureRequest, browser: Browser, live_server: Any) -> Any:
    """A page of someone who is logged in, and the language; console messages and failed requests fail the test."""
    get_user_model().objects.create_superuser("sara", "", "secret")
    context = browser.new_context(locale=request.param, base_url=live_server.url, viewport={"width": 390, "height": 800})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    log_in(page)
    yield page, request.param
    context.close()
    assert [text for text in troubles if "422" not in text] == []


def create(page: Page, language: str, task: str, **fields: str) -> None:
    page.goto(f"/jobs/create/?task={task}")
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    page.click(f"main button:has-text('{BUTTONS[language]}')")


def test_a_job_is_followed_live_into_the_dead_letter_queue(desk: Any, tmp_path: Path) -> None:
    page, language = desk
    with running_worker(tmp_path / "log", JOBS_RETRY_BACKOFF="0.2"):
        create(page, language, "jobs.tasks.fail", name="من المتصفح", max_retries="1")
        page.wait_for_url(re.compile(r"/jobs/\d+/$"))
        until(lambda: Job.objects.get().status == "failed", what="its retries are used up")
        expect(page.locator(".runs .state-failed")).to_have_count(2)
    job = Job.objects.get()
    assert (job.name, job.attempts, job.created_by and job.created_by.username) == ("من المتصفح", 2, "sara")
    page.goto("/jobs/dead-letters/")
    expect(page.locator("main")).to_contain_text("DeliberateFailure")
    assert DeadLetterQueue.objects.count() == 1


def test_wrong_fields_are_named_and_nothing_is_stored(desk: Any) -> None:
    page, language = desk
    page.goto("/jobs/create/?task=jobs.tasks.sleep")
    page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
    page.fill("[name=max_retries]", "-1")
    page.click(f"main button:has-text('{BUTTONS[language]}')")
    expect(page.locator(".wrong").first).to_be_visible()
    assert not Job.objects.exists()


def test_a_text_of_several_lines_is_typed_and_stays_so_in_a_new_job_from_the_old_one(desk: Any) -> None:
    page, language = desk
    text = "Dear Ali,\n\nyour invoice…\n\tRegards \n"
    create(page, language, "jobs.tasks.fail", **{"argument-message": text})
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    page.goto(f"/jobs/create/?from={Job.objects.get().pk}")
    assert page.locator("[name=argument-message]").evaluate("field => field.scrollHeight <= field.clientHeight")
    page.fill("[name=name]", "again")
    page.click(f"main button:has-text('{BUTTONS[language]}')")
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    assert [job.kwargs["message"] for job in Job.objects.all()] == [text, text]


@pytest.mark.parametrize("path", ["/", "/jobs/", "/jobs/create/?task=jobs.tasks.http_request", "/jobs/dead-letters/", "/jobs/workers/"])
def test_no_page_scrolls_sideways_on_a_phone(desk: Any, path: str) -> None:
    page, _ = desk
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_delay_that_is_typed_is_the_choice_and_another_choice_empties_it(desk: Any) -> None:
    page, language = desk
    page.goto("/jobs/create/?task=jobs.tasks.sleep")
    page.fill("[name=argument-seconds]", "1")
    page.fill("[name=at]", "2999-01-01T08:00")
    expect(page.locator("[name=when][value=at]")).to_be_checked()
    page.check("[name=when][value=now]")
    expect(page.locator("[name=at]")).to_have_value("")
    page.fill("[name=after]", "3600")
    expect(page.locator("[name=when][value=after]")).to_be_checked()
    page.click(f"main button:has-text('{BUTTONS[language]}')")
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    job = Job.objects.get()
    assert 3500 < (job.run_at - job.created_at).total_seconds() <= 3600


def test_what_was_typed_stays_when_the_language_is_changed(desk: Any) -> None:
    page, language = desk
    page.goto("/jobs/create/?task=jobs.tasks.sleep")
    page.fill("[name=argument-seconds]", "86401")
    page.fill("[name=name]", "تقرير")
    page.check(".step-9 input")
    page.fill("[name=after]", "2")
    page.click("[name=language]")
    expect(page.locator("html")).to_have_attribute("lang", "en" if language == "ar" else "ar")
    expect(page.locator("[name=argument-seconds]")).to_have_value("86401")
    expect(page.locator("[name=name]")).to_have_value("تقرير")
    expect(page.locator(".step-9 input")).to_be_checked()
    expect(page.locator("[name=when][value=after]")).to_be_checked()
    page.goto("/jobs/create/?task=jobs.tasks.sleep")
    expect(page.locator("[name=name]")).to_have_value("")


def test_the_menu_of_the_account_closes_with_escape_and_by_a_click_elsewhere(desk: Any) -> None:
    page, _ = desk
    menu = page.locator(".menu")
    for leave in (lambda: page.keyboard.press("Escape"), lambda: page.locator("h1").first.click()):
        page.goto("/jobs/create/")
        menu.locator("summary").click()
        expect(menu).to_have_attribute("open", "")
        menu.locator("legend").click()
        expect(menu).to_have_attribute("open", "")
        leave()
        expect(menu).not_to_have_attribute("open", "")
