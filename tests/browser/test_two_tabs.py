"""A form whose login was changed in another tab: what was typed is not lost."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, expect

from jobs.models import Job
from tests.browser.login import PATIENCE, log_in

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
