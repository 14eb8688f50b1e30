"""A form whose login was changed in another tab, or had ended: what was typed is not lost."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, Page, expect

from jobs.models import Job
from tests.browser.login import PATIENCE, log_in
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("language", ["ar", pytest.param("en", marks=pytest.mark.slow)])
def test_what_was_typed_is_there_again_by_going_back(browser: Browser, live_server: Any, language: str) -> None:
    get_user_model().objects.create_superuser("sara", "", "secret")
    context = browser.new_context(locale=language, base_url=live_server.url)
    context.set_default_timeout(PATIENCE)
    first, second = context.new_page(), context.new_page()
    log_in(first)
    first.goto("/jobs/create/?task=jobs.tasks.sleep")
    first.fill("[name=name]", "تقرير طويل")
    second.goto("/")
    second.click(".menu summary")
    second.click("form[action='/accounts/logout/'] button")
    log_in(second)
    first.click("main form[method=post] button.btn-main")
    expect(first.locator(".lost-n")).to_have_text("403")
    first.go_back()
    expect(first.locator("[name=name]")).to_have_value("تقرير طويل")
    first.reload()
    first.fill("[name=name]", "تقرير طويل")
    first.fill("[name=argument-seconds]", "1")
    first.click("main form[method=post] button.btn-main")
    first.wait_for_url("**/jobs/*/")
    assert Job.objects.get().name == "تقرير طويل"
    context.close()


def log_in_there(page: Page, name: str) -> None:
    """Where a login that had ended led to."""
    page.fill("#id_username", name)
    page.fill("#id_password", "secret")
    page.click("form button.btn-main")


def test_what_was_typed_is_there_again_after_a_login_that_had_ended(page: Page) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    get_user_model().objects.create_superuser("omar", "", "secret")
    page.goto("/jobs/create/?task=t.login")
    page.route(re.compile("/jobs/create/"), lambda route: route.fulfill(response=route.fetch(), status=200))  # or the console names the 422
    page.click("main form[method=post] button.btn-main")
    page.locator("#problems").wait_for()
    page.unroute(re.compile("/jobs/create/"))
    for who, seen in ("sara", "تقرير طويل"), ("omar", ""):
        page.fill("[name=name]", "تقرير طويل")
        page.fill("[name=argument-user]", "ali")
        page.fill("[name=argument-password]", "hunter2")
        page.check(".step-9 input")
        page.context.clear_cookies(name="sessionid")
        page.click("main form[method=post] button.btn-main")
        page.wait_for_url("**/accounts/login/**")
        assert "hunter2" not in page.evaluate("sessionStorage.typed")
        log_in_there(page, who)
        page.locator("#send-again").wait_for()
        expect(page.locator("[name=name]")).to_have_value(seen)
        expect(page.locator("[name=argument-password]")).to_have_value("")
        expect(page.locator(".step-9 input")).to_be_checked(checked=bool(seen))
        assert page.evaluate("sessionStorage.typed") is None
    page.fill("[name=name]", "سُجِّلت")
    page.fill("[name=argument-user]", "ali")
    page.fill("[name=argument-password]", "hunter2")
    page.click("main form[method=post] button[name=another]")
    page.locator("main .note-info").wait_for()
    expect(page.locator("[name=name]")).to_have_value("")


def test_a_live_page_follows_the_language_and_the_zone_of_another_tab_unless_something_is_typed(page: Page) -> None:
    other = page.context.new_page()
    other.goto("/jobs/create/")
    html = page.locator("html")
    page.goto("/jobs/")
    page.fill("#q", "half a word")
    other.click("[name=language]")
    expect(other.locator("html")).to_have_attribute("lang", "en")
    job = job_in("pending")
    for _ in range(2):
        page.wait_for_event("requestfinished", lambda request: request.url.endswith("/jobs/"))
    expect(page.locator("#q")).to_have_value("half a word")
    expect(html).to_have_attribute("dir", "rtl")
    expect(page.locator(f"#job-{job.pk}")).to_have_count(0)
    page.fill("#q", "")
    expect(html).to_have_attribute("dir", "ltr")
    expect(page.locator(f"#job-{job.pk}")).to_have_count(1)
    other.click(".menu summary")
    other.select_option("#zone", "Asia/Riyadh")
    other.click(".menu-box form button >> nth=0")
    expect(html).to_have_attribute("data-zone", "Asia/Riyadh")
    expect(page.locator("footer")).to_contain_text("Asia/Riyadh")
