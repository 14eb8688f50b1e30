"""By the keyboard alone, and what a live page leaves alone: focus, scrolled places, marked texts; nothing moves for who wants no motion."""

import re
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect

from jobs import enqueue
from jobs.models import Attempt, Job
from tests.browser.login import PATIENCE, log_in
from tests.browser.scene import played
from tests.browser.waiting import renewed
from tests.rows import job_in
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
FOCUSED = """() => {
  const one = document.activeElement, seen = [one, one.closest("label") ?? one].map((each) => getComputedStyle(each).outlineStyle);
  return [one.id || one.name || one.textContent.trim().slice(0, 40), seen.some((style) => style !== "none")];
}"""


def tab_to(page: Page, wanted: str, most: int = 120) -> None:
    """Press Tab until the element that the selector finds has the focus; whatever has it on the way must show it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        name, shown = page.evaluate(FOCUSED)
        assert shown, f"the focus cannot be seen on {name}"
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"{wanted} cannot be reached by Tab")


@pytest.mark.parametrize("language", ["ar", "en"])
def test_a_job_is_created_and_cancelled_with_a_reason_by_the_keyboard_alone(page: Page, language: str) -> None:
    page.goto("/jobs/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    tab_to(page, "a.btn-main[href$='/create/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/create/")
    tab_to(page, "#task")
    page.keyboard.type("jobs.tasks.sleep")
    expect(page.locator("#task")).to_have_value("jobs.tasks.sleep")
    tab_to(page, "form[method=get] .acts button")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    tab_to(page, "[name=argument-seconds]")
    page.keyboard.type("60")
    tab_to(page, "[name=name]")
    page.keyboard.type("من لوحة المفاتيح")
    tab_to(page, "[name=priority]")
    page.keyboard.press("ArrowRight")
    tab_to(page, "main form[method=post] button.btn-main")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/\d+/$"))
    job = Job.objects.get()
    assert (job.name, job.kwargs) == ("من لوحة المفاتيح", {"seconds": 60.0})
    tab_to(page, "#reason")
    page.keyboard.type("جُرِّبت")
    tab_to(page, "#cancel")
    page.keyboard.press("Enter")
    expect(page.locator(".why-answer")).to_contain_text("جُرِّبت")
    job.refresh_from_db()
    assert job.status == "cancelled"


UNDER_THE_BAR = """() => {
  const one = document.activeElement, bar = document.querySelector(".top");
  if (!one.closest("main")) return null;
  const covered = getComputedStyle(bar).position === "sticky" && one.getBoundingClientRect().bottom <= bar.getBoundingClientRect().bottom;
  return covered ? one.id || one.textContent.trim() : "";
}"""


def test_the_focus_is_never_under_the_bar(page: Page) -> None:
    for number in range(25):
        job_in("completed", name=f"Report {number}")
    page.goto("/jobs/?live=off")
    for width, height in ((545, 400), (640, 400), (1000, 500)):  # the bar has three rows, two, and two
        page.set_viewport_size({"width": width, "height": height})
        page.locator("main tbody a").last.focus()
        covered = []
        for _ in range(120):
            page.keyboard.press("Shift+Tab")
            one = page.evaluate(UNDER_THE_BAR)
            if one is None:
                break
            covered += [one] if one else []
        assert (width, one, covered) == (width, None, [])


def test_errors_are_reached_from_the_list_at_the_top(page: Page) -> None:
    page.route(re.compile("/jobs/create/"), lambda route: route.fulfill(response=route.fetch(), status=200))  # or the console names the 422
    page.goto("/jobs/create/?task=jobs.tasks.sleep")
    page.fill("[name=max_retries]", "-1")
    page.click("main form[method=post] button.btn-main")
    page.locator("#problems").wait_for()
    page.wait_for_load_state()
    tab_to(page, "#problems a[href='#id_max_retries']")
    page.keyboard.press("Enter")
    expect(page.locator("#id_max_retries")).to_be_in_viewport()


def test_the_search_box_leads_to_a_job(page: Page) -> None:
    job = job_in("pending", name="wanted")
    page.goto("/")
    tab_to(page, ".find input")
    page.keyboard.type(str(job.pk))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/jobs/{job.pk}/")


@pytest.mark.parametrize("place", ["#count-queued", "#all-groups", "#queue-celery", "#pause"])
def test_the_focus_stays_where_it_is_on_the_dashboard(page: Page, place: str) -> None:
    with played():
        cache.clear()
        page.goto("/")
        page.focus(place)
        enqueue("jobs.tasks.sleep", kwargs={"seconds": 1})  # or nothing would change
        renewed(page)
        expect(page.locator(place)).to_be_focused()


def test_the_focus_and_a_scrolled_place_stay_on_the_page_of_a_job(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    job = enqueue("jobs.tasks.fail", kwargs={"message": "x" * 400}, delay=7200)
    page.goto(f"/jobs/{job.pk}/")
    page.focus("#job-kwargs")
    page.evaluate("document.querySelector('#job-kwargs').scrollLeft = 70")
    page.evaluate("scrollTo(0, 300)")
    renewed(page)
    expect(page.locator("#job-kwargs")).to_be_focused()
    assert page.evaluate("[document.querySelector('#job-kwargs').scrollLeft, scrollY]") == [70, 300]


def test_the_attempts_in_the_admin_are_scrolled_by_the_keyboard(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    job = job_in("failed")
    Attempt.objects.filter(job=job).update(traceback="Traceback")  # with something in it to press, no browser stops at the place itself
    page.goto(f"/admin/jobs/job/{job.pk}/change/")
    page.focus(".results summary")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".results")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    scrolled = "document.querySelector('.results').scrollLeft < 0"
    until(lambda: page.wait_for_timeout(50) or page.evaluate(scrolled), timeout=PATIENCE / 1000, what="scrolled place")


def test_a_text_that_somebody_marks_stays_marked(page: Page) -> None:
    job = enqueue("jobs.tasks.fail", kwargs={"message": "copy me"}, delay=7200)
    page.goto(f"/jobs/{job.pk}/")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#job-kwargs'))")
    page.wait_for_timeout(2500)  # longer than the part waits before it renews itself: that nothing comes can only be waited for
    assert "copy me" in page.evaluate("getSelection().toString()")
    page.evaluate("getSelection().removeAllRanges()")
    renewed(page)


def test_a_list_of_priorities_that_somebody_opened_stays_open(page: Page) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, delay=7200)
    page.clock.install()
    page.goto(f"/jobs/{job.pk}/")
    page.click("#reorder")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(5_000)
    expect(page.locator("#reorder")).to_be_focused()
    assert asked == []
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    until(lambda: page.clock.run_for(1_000) or asked, timeout=60, what="the part is asked for again")


def test_all_rows_of_a_page_are_chosen_at_once(page: Page) -> None:
    for number in range(3):
        job_in("failed", name=f"Invoice {number}")
    for address in ("/jobs/", "/jobs/dead-letters/"):
        page.goto(address)
        page.check("#pick-all")
        assert page.locator("tbody .pick input:checked").count() == 3
        page.uncheck("#pick-all")
        assert page.locator("tbody .pick input:checked").count() == 0


def test_nothing_moves_for_who_wants_no_motion(browser: Browser, live_server: Any, page: Page) -> None:
    context = browser.new_context(locale="ar", base_url=live_server.url, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    still = context.new_page()
    log_in(still)
    moving = "document.getAnimations().length"
    assert (page.evaluate(moving) > 0, still.evaluate(moving)) == (True, 0)
    context.close()


@pytest.mark.parametrize(("language", "width"), [("en", 640)])
def test_keys_that_are_letters_can_be_turned_off(page: Page, width: int) -> None:
    """WCAG 2.1.4: who speaks to the computer would set them off by words. Also on a page that is enlarged to 200 %."""
    page.set_viewport_size({"width": width, "height": 450})
    first, second = enqueue("jobs.tasks.sleep", args=[9], delay=60).pk, enqueue("jobs.tasks.sleep", args=[9], delay=60).pk
    page.goto("/jobs/")
    page.get_by_role("button", name="Turn these keys off").click()
    for _ in range(2):
        expect(page.get_by_role("button", name="Turn these keys on")).to_be_visible()
        page.locator(f"#job-{second}").focus()
        page.keyboard.type("jx")
        expect(page.locator(f"#job-{second}")).to_be_focused()
        expect(page.locator(f"#pick-{second}")).not_to_be_checked()
        page.keyboard.press("ArrowDown")
        expect(page.locator(f"#job-{first}")).to_be_focused()
        page.reload()  # the choice stays
    page.get_by_role("button", name="Turn these keys on").click()
    page.locator(f"#job-{second}").focus()
    page.keyboard.type("jx")
    expect(page.locator(f"#pick-{first}")).to_be_checked()
