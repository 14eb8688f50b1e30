"""Names as long as they may be, in one word: no page scrolls sideways, and nothing stands out of its card."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs import batches, control, enqueue
from jobs.domain.actors import Actor, Source
from jobs.models import DeadLetterQueue, Job, Worker
from jobs.models.audit import Verb
from tests.browser.scene import played
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)
WORD = "x" * 190
USER = "s" * 150
STICKING_OUT = """() => [...document.querySelectorAll("main .card, #content, #header")].flatMap((card) => {
  const { left, right } = card.getBoundingClientRect();
  return [...card.querySelectorAll("*")].filter((one) => {
    const { left: start, right: end, width } = one.getBoundingClientRect();
    const cut = one.closest("pre, .vh, .code, .clip, .tabs, .results, svg");  // or scrolled by itself
    return width && !cut && (start < left - 1 || end > right + 1);
  }).map((one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 40)}`);
}).slice(0, 5)"""

# Cut at the wrong end: a text that runs the other way than the box that cuts it shows its end, and an ellipsis for its beginning.
BEHEADED = """() => [...document.querySelectorAll("*")].filter((one) => {
  const style = getComputedStyle(one), letter = one.textContent.match(/\\p{L}/u)?.[0] ?? "";
  const cut = style.textOverflow === "ellipsis" && style.overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1;
  return cut && /[a-z]/i.test(letter) !== (style.direction === "ltr");
}).map((one) => `${one.tagName}.${one.className} cuts the beginning: ${one.textContent.slice(0, 40)}`).slice(0, 5)"""


def addresses() -> dict[str, str]:
    """Pages with long names, by what is long."""
    sara = Actor(name="sara", source=Source.PAGE)
    named = enqueue("jobs.tasks.fail", kwargs={"message": "m" * 300}, name="n" * 255, queue="q" * 100, unique_key="u" * 255, delay=3600)
    failed = job_in("failed", name="n" * 255, queue="q" * 100)
    entry = DeadLetterQueue.objects.get(job=failed)
    Job.objects.filter(pk=named.pk).update(task="t" * 200)
    draft = batches.draft(Verb.QUEUE, [named.pk, failed.pk], sara).pk
    done = batches.draft(Verb.QUEUE, [named.pk], sara).pk
    batches.confirm(done, sara, queue="r" * 100, reason=WORD)
    get_user_model().objects.update(username=USER)
    worker = Worker.objects.get()
    Worker.objects.update(hostname="h" * 100, name="celery@" + "h" * 100, queues=["q" * 100, "mail"])
    return {
        "dashboard": "/",
        "jobs": "/jobs/",
        "found": f"/jobs/?q={WORD}",
        "filtered": f"/jobs/?queue={'q' * 100}&task={WORD}&worker={WORD}&error={WORD}&creator={WORD}",
        "job": f"/jobs/{named.pk}/",
        "job failed": f"/jobs/{failed.pk}/",
        "again": f"/jobs/create/?from={failed.pk}",
        "batch": f"/jobs/batches/{done}/",
        "batches": "/jobs/batches/",
        "preview": f"/jobs/batches/{draft}/",
        "queues": "/jobs/queues/",
        "workers": "/jobs/workers/",
        "worker": f"/jobs/workers/{worker.pk}/",
        "drain": f"/jobs/workers/{worker.pk}/drain/",
        "dead letters": f"/jobs/dead-letters/?q={WORD}",
        "all dead letters": "/jobs/dead-letters/",
        "group": f"/jobs/dead-letters/group/{entry.fingerprint}/",
        "reprocess": f"/jobs/dead-letters/reprocess/?q={WORD}",
        "audit": f"/jobs/audit/?actor={WORD}",
        "all audit": "/jobs/audit/",
        "admin jobs": "/admin/jobs/job/",
        "admin job": f"/admin/jobs/job/{named.pk}/change/",
        "admin job failed": f"/admin/jobs/job/{failed.pk}/change/",
        "admin delete": f"/admin/jobs/job/{failed.pk}/delete/",
        "admin entries": "/admin/jobs/deadletterqueue/",
        "admin entry": f"/admin/jobs/deadletterqueue/{entry.pk}/change/",
    }


def faults(page: Page, pages: dict[str, str], width: int) -> list[str]:
    page.set_viewport_size({"width": width, "height": 900})
    wrong = []
    for name, address in pages.items():
        page.goto(address)
        wrong += faults_as_it_stands(page, name)
    return wrong


def faults_as_it_stands(page: Page, name: str) -> list[str]:
    sizes: Any = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    sideways = [f"{name}: {sizes[0]} of {sizes[1]}"] if sizes[0] > sizes[1] else []
    return sideways + [f"{name}: {one}" for script in (STICKING_OUT, BEHEADED) for one in page.evaluate(script)]


def ask_before_an_act_in_the_admin(page: Page) -> None:
    page.goto("/admin/jobs/job/")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "reorder_jobs")
    page.click("button[name=index]")
    page.locator("[name=confirmed]").wait_for(state="attached")


IN_SHORT = [("ar", 390)]
WHOLE = [("ar", 1000), ("ar", 1280), ("en", 390), ("en", 1000), ("en", 1280)]


@pytest.mark.parametrize(("language", "width"), [*IN_SHORT, *(pytest.param(*look, marks=pytest.mark.slow) for look in WHOLE)])
def test_nothing_is_wider_than_its_place(page: Page, width: int) -> None:
    with played():
        usual = {"dashboard": "/", "workers": "/jobs/workers/", "worker": f"/jobs/workers/{Worker.objects.get().pk}/"}
        assert faults(page, usual, width) == []
        wrong = faults(page, addresses(), width)
        ask_before_an_act_in_the_admin(page)
        wrong += faults_as_it_stands(page, "admin confirmation")
        assert "\n".join(wrong) == ""


SPACED = "document.documentElement.style.cssText = 'letter-spacing: .12em; word-spacing: .16em; line-height: 1.5'"  # as WCAG 1.4.12 has it


@pytest.mark.parametrize("language", ["ar", pytest.param("en", marks=pytest.mark.slow)])
def test_the_bar_holds_the_name_of_who_looks_at_every_width(page: Page, language: str) -> None:
    get_user_model().objects.update(username=USER)
    page.goto("/jobs/create/")
    for said in ("", SPACED):
        page.evaluate(said)
        wrong = []
        for width in range(320, 1700, 20):
            page.set_viewport_size({"width": width, "height": 700})
            wrong += [width] if page.evaluate("document.documentElement.scrollWidth > innerWidth") else []
        assert wrong == []
    page.click(".menu > summary")
    expect(page.locator(".menu-box").get_by_text(USER)).to_be_visible()


@pytest.mark.parametrize("language", ["ar", pytest.param("en", marks=pytest.mark.slow)])
def test_the_table_of_queues_stays_in_its_card(page: Page, language: str) -> None:
    wrong = []
    with played():
        Job.objects.filter(queue="celery", status="pending").update(run_at=timezone.now() - timedelta(hours=39), queue="mail" * 20)
        cache.clear()
        page.goto("/")
        for said in ("", SPACED):
            page.evaluate(said)
            for width in (360, 390, 1280):
                page.set_viewport_size({"width": width, "height": 700})
                wrong += faults_as_it_stands(page, f"{width}{' spaced' if said else ''}")
    assert wrong == []


LINES = "one => Math.round(one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight))"


@pytest.mark.parametrize("language", ["en"])
def test_what_stands_beside_a_long_name_is_seen(page: Page) -> None:
    plain, long = job_in("pending", priority=5), job_in("pending", name="n" * 255)
    Job.objects.filter(pk=long.pk).update(task="t" * 200)
    control.change_priority([plain.pk], 8, by=Actor(name="caroline", source=Source.PAGE))
    page.goto("/admin/jobs/job/")
    expect(page.locator(".field-status").first).to_be_in_viewport()
    page.goto(f"/admin/jobs/job/{long.pk}/change/")
    heading, tools = page.locator("#content > h2").bounding_box(), page.locator(".object-tools").bounding_box()
    assert heading
    assert tools
    assert heading["x"] + heading["width"] <= tools["x"]
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto("/jobs/audit/")
    assert page.locator("td.soft .clip").first.evaluate(LINES) == 1
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1045, "height": 718})  # A4 across, between its margins
    page.goto("/jobs/")
    assert page.locator("td .cap", has_text="jobs.tasks.sleep").first.evaluate(LINES) <= 2
