"""Many jobs at once, in Arabic: choose, look at the preview, change exactly these; and by the keyboard alone."""

import re
from itertools import product

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from playwright.sync_api import Page, expect

from jobs import batches
from jobs.domain.actors import Actor
from jobs.models import Audit, DeadLetterQueue, Job
from jobs.models.audit import Verb
from tests.browser.test_look import take_picture
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_filtered_jobs_get_another_priority_and_no_later_one(page: Page) -> None:
    for number in range(3):
        job_in("pending", name=f"فاتورة {number}")
    other = job_in("pending", name="تقرير")
    page.goto("/jobs/?q=فاتورة")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("#number")).to_contain_text("3 مهام")
    page.check("[name=all]")  # without a row that is ticked
    page.wait_for_timeout(2500)  # longer than the list waits before it renews itself: that nothing comes can only be waited for
    expect(page.locator("[name=all]")).to_be_checked()
    page.click("button[value=priority]")
    expect(page.locator(".sum-big")).to_contain_text("3")
    later = job_in("pending", name="فاتورة متأخرة")
    page.fill("[name=priority]", "9")
    take_picture(page, "bulk-preview.ar")
    assert Axe().run(page).response["violations"] == []
    page.click("main form[method=post] button.btn-main")
    expect(page.locator("#live")).to_contain_text("3")
    assert set(Job.objects.filter(priority=9).values_list("name", flat=True)) == {"فاتورة 0", "فاتورة 1", "فاتورة 2"}
    assert set(Job.objects.filter(priority=5)) == {other, later}
    assert Audit.objects.filter(verb="priority", actor="sara").count() == 3


def test_a_long_argument_that_was_replaced_stays_within_its_pages(page: Page) -> None:
    job = job_in("failed", name="فاتورة")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET kwargs = json_build_object('seconds', repeat('x', 400)) WHERE id = %s", [job.pk])
    entries = list(DeadLetterQueue.objects.values_list("id", flat=True))
    batch = batches.start(Verb.REPROCESS, entries, Actor(name="sara"), entries=True, arguments={"seconds": "y" * 400})
    batches.go_on()
    for width, address in product((390, 1280), (f"/jobs/{job.pk}/", "/jobs/audit/", f"/jobs/batches/{batch.pk}/")):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(address)
        expect(page.locator("bdi", has_text="yyy").filter(visible=True)).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, (width, address)


def test_a_tick_never_moves_to_another_row(page: Page) -> None:
    job_in("failed", name="wanted")
    ticked = "[...document.querySelectorAll('tbody .pick input:checked')].map((one) => one.value)"
    for address in ("/jobs/?live=off", "/jobs/dead-letters/"):
        page.goto(address)
        first = page.locator("tbody .pick input").first
        value = first.get_attribute("value")
        first.check()
        job_in("failed", name="above it")
        page.click("[name=language]")
        expect(page.locator("tbody .pick input")).not_to_have_count(0)
        assert page.evaluate(ticked) == [value], address
        page.locator("tbody th a").last.click()
        page.wait_for_url(re.compile(r"/jobs/\d+/$"))
        job_in("failed", name="above it")
        page.go_back()
        page.wait_for_load_state()
        assert page.evaluate(ticked) in ([], [value]), address


def test_the_list_is_used_by_the_keyboard_alone(page: Page) -> None:
    jobs = [job_in("pending", name=f"job {number}") for number in range(3)][::-1]
    page.goto("/jobs/?live=off")
    page.locator(f"#job-{jobs[0].pk}").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"#job-{jobs[1].pk}")).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("k")
    expect(page.locator(f"#job-{jobs[1].pk}")).to_be_focused()
    assert [page.locator(f"#pick-{job.pk}").is_checked() for job in jobs] == [False, True, True]
    page.locator("button[value=cancel]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".sum-big")).to_contain_text("مهمتان")
    page.locator("main form[method=post] button.btn-l").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_be_visible()  # the address is that of the preview
    assert set(Job.objects.filter(status="cancelled")) == {jobs[1], jobs[2]}
