"""The main ways work where no script runs: create, filter, change many, decide about a dead letter."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect

from jobs.models import DeadLetterQueue, Job
from tests.browser.login import PATIENCE, log_in
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def plain(browser: Browser, live_server: Any) -> Iterator[Page]:
    cache.clear()
    get_user_model().objects.create_superuser("sara", "", "secret")
    context = browser.new_context(locale="en", base_url=live_server.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    log_in(page)
    yield page
    context.close()


def test_a_job_is_created(plain: Page) -> None:
    plain.goto("/jobs/create/")
    plain.select_option("#task", "jobs.tasks.sleep")
    plain.click(".part .acts button")
    plain.fill("[name=argument-seconds]", "3")
    plain.fill("[name=name]", "By hand")
    plain.click("main form[method=post] button.btn-main")
    expect(plain.locator("h1")).to_contain_text("By hand")
    assert Job.objects.get().kwargs == {"seconds": 3.0}


def test_what_the_filters_find_gets_another_priority(plain: Page) -> None:
    for number in range(3):
        job_in("pending", name=f"Invoice {number}")
    other = job_in("pending", name="Report")
    plain.goto("/jobs/")
    plain.fill("#q", "Invoice")
    plain.click(".filters > button.btn")
    expect(plain.locator("tbody tr")).to_have_count(3)
    plain.check("[name=all]")
    plain.click("button[value=priority]")
    expect(plain.locator(".sum-big")).to_contain_text("3")
    plain.fill("[name=priority]", "9")
    plain.click("main form[method=post] button.btn-main")
    expect(plain.locator("#live")).to_be_visible()
    assert set(Job.objects.exclude(priority=9)) == {other}


def test_a_dead_letter_is_reprocessed(plain: Page) -> None:
    job = job_in("failed", name="Invoice")
    entry = DeadLetterQueue.objects.get()
    plain.goto(f"/jobs/{job.pk}/")
    plain.click("#with-others")
    plain.select_option("[name=priority]", "8")
    plain.click("main form[method=post] button.btn-main")
    expect(plain.locator("main")).to_contain_text("1 job will run again.")
    job.refresh_from_db()
    entry.refresh_from_db()
    assert (job.status, job.priority, entry.resolution) == ("pending", 8, "reprocessed")


def test_an_ended_job_runs_again_as_a_new_one(plain: Page) -> None:
    old = job_in("completed", name="Nightly")
    plain.goto(f"/jobs/{old.pk}/")
    plain.click("#again")
    plain.fill("[name=argument-seconds]", "7")
    plain.click("main form[method=post] button.btn-main")
    expect(plain.locator("h1")).to_contain_text("Nightly")
    assert [job.kwargs for job in Job.objects.order_by("id")] == [{"seconds": 0}, {"seconds": 7.0}]


def test_what_only_a_script_renews_does_not_say_that_it_lives(plain: Page) -> None:
    for address in ("/", "/jobs/", "/jobs/queues/", "/jobs/workers/"):
        plain.goto(address)
        expect(plain.locator("h1")).to_be_visible()
        expect(plain.locator(".live")).to_be_hidden()
