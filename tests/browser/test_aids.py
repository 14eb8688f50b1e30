"""With a page enlarged, another keyboard, a screen reader, colours of the system's own, or on paper."""

import re
from base64 import b64encode

import pytest
from django.core.cache import cache
from django.db import connection
from playwright.sync_api import Page, expect

from jobs import enqueue
from jobs.models import Attempt, Job
from jobs.store import transitions
from jobs.store.transitions import Run
from tests.browser.scene import TRACEBACK, played
from tests.browser.waiting import renewed
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


OFF = """() => {
  const [box, nav, menu] = [".menu-box", ".nav", ".menu"].map((one) => document.querySelector(one).getBoundingClientRect());
  return box.left < 0 || box.right > innerWidth || (nav.left < menu.right && menu.left < nav.right && nav.top < menu.bottom);
}"""


@pytest.mark.parametrize("language", ["ar", "en"])
def test_the_menu_of_the_account_stays_on_the_page_at_every_width(page: Page, language: str) -> None:
    page.goto("/jobs/")
    page.click(".menu > summary")
    off = []
    for width in range(320, 1300, 20):
        page.set_viewport_size({"width": width, "height": 450})
        off += [width] if page.evaluate(OFF) else []
    assert off == []
    page.set_viewport_size({"width": 640, "height": 300})
    page.click(".menu-box form:last-child button")  # the last thing in it can be reached
    page.wait_for_url(re.compile("/accounts/login/"))  # a poll that was under way may lead there too, with a way back


def test_the_menu_closes_when_the_focus_leaves_it(page: Page) -> None:
    page.goto("/jobs/")
    page.focus(".menu > summary")
    page.keyboard.press("Enter")
    last = page.locator(".menu-box button").last
    last.focus()
    expect(last).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".menu-box")).to_be_hidden()


SAID = """() => { window.said = []; new MutationObserver(() => window.said.push(document.querySelector("#said").textContent))
  .observe(document.querySelector("#said"), {childList: true, characterData: true, subtree: true}); }"""


def test_a_screen_reader_and_the_title_are_told_each_state_of_a_job_once(page: Page) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="Nightly")
    page.goto(f"/jobs/{job.pk}/")
    expect(page).to_have_title(f"قيد الانتظار · Nightly · {job.pk} · مكتب المهام")
    page.evaluate(SAID)
    run = Run(id=job.id, runs=1)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        expect(page.locator("#said[role=status]")).to_have_text("قيد التنفيذ")
        renewed(page)  # with another duration, and nothing to say
        assert transitions.complete(cursor, run, result="null")
    expect(page.locator("#said")).to_have_text("مكتملة")
    assert page.evaluate("window.said") == ["قيد التنفيذ", "مكتملة"]
    expect(page).to_have_title(f"مكتملة · Nightly · {job.pk} · مكتب المهام")


def test_a_screen_reader_is_told_when_the_health_of_the_whole_changes(page: Page) -> None:
    page.goto("/")
    before = page.locator("#health").inner_text()
    page.evaluate(SAID)
    assert page.locator("#live [role=status]").count() == 0, "it would be read anew with each renewal"
    with played():
        cache.clear()
        expect(page.locator("#health")).not_to_have_text(before)
        expect(page.locator("#said")).to_have_text(page.locator("#health").inner_text())
    assert len(page.evaluate("window.said")) == 1


def test_the_keys_of_the_list_are_those_of_any_keyboard(page: Page) -> None:
    jobs = [job_in("completed", name=f"Report {number}").pk for number in range(3)][::-1]
    page.goto("/jobs/?live=off")
    press = """([key, code]) =>
      document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true, cancelable: true}))"""
    page.keyboard.press("j")
    expect(page.locator(f"#job-{jobs[0]}")).to_be_focused()  # from nowhere: the first row
    page.evaluate(press, ["ت", "KeyJ"])
    expect(page.locator(f"#job-{jobs[1]}")).to_be_focused()
    page.evaluate(press, ["ء", "KeyX"])
    expect(page.locator(f"#pick-{jobs[1]}")).to_be_checked()
    page.evaluate(press, ["ن", "KeyK"])
    expect(page.locator(f"#job-{jobs[0]}")).to_be_focused()
    page.evaluate(press, ["h", "KeyJ"])  # a Latin keyboard that has its letters elsewhere
    expect(page.locator(f"#job-{jobs[0]}")).to_be_focused()


COLOURS = """async (picture) => {
  const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d", {willReadFrequently: true});
  canvas.drawImage(image, 0, 0);
  const colour = (x) => canvas.getImageData(x, Math.floor(image.height / 2), 1, 1).data.join();
  return [colour(Math.floor(image.width * 0.1)), colour(Math.floor(image.width * 0.9))];
}"""


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_bars_and_the_open_page_are_seen_in_the_systems_own_colours(page: Page, theme: str) -> None:
    page.emulate_media(forced_colors="active", color_scheme=theme)
    with played() as jobs:
        cache.clear()
        for address, bar in ((f"/jobs/{jobs['running']}/", "progress"), ("/", ".slot meter")):
            page.goto(address)
            page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
            page.evaluate("bar => { const one = document.querySelector(bar); one.value = one.max / 2; }", bar)
            done, rest = page.evaluate(COLOURS, b64encode(page.locator(bar).first.screenshot()).decode())
            assert done != rest, address
    edge = "one => getComputedStyle(one).borderBlockEndColor"
    here, there = (page.locator(f".nav a{which}").first.evaluate(edge) for which in ("[aria-current]", ":not([aria-current])"))
    assert here != there


def test_paper_shows_all_of_a_text_and_nothing_to_press(page: Page) -> None:
    with played() as jobs:
        failed = jobs["failed"]
        Job.objects.filter(pk=failed).update(kwargs={"seconds": 1, "note": "x" * 400})
        Attempt.objects.filter(job=failed).update(traceback=TRACEBACK.replace("order.lines", "order.lines" * 40), message="no price " * 60)
        page.emulate_media(media="print")
        for address in (f"/jobs/{failed}/", "/jobs/", "/"):
            page.goto(address)
            page.set_viewport_size({"width": 718, "height": 1000})  # A4 between its margins
            cut = "[...document.querySelectorAll('main *')].filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1)"
            assert page.evaluate(f"{cut}.map((one) => one.outerHTML.slice(0, 80))") == [], address
            for part in (".nav", ".find", ".menu", "main button", ".filters", ".live"):
                assert page.locator(f"{part}:visible").count() == 0, (address, part)
