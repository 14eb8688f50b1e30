"""No page weighs more than 150 kB with all that it needs, and nothing on it moves by itself."""

import gzip
from functools import cache
from typing import Any
from urllib.request import urlopen

import pytest
from django.core.cache import cache as kept
from playwright.sync_api import Page

from tests.browser.scene import played
from tests.browser.test_look import addresses

pytestmark = pytest.mark.django_db(transaction=True)
MOST = 150_000  # bytes
STILL = 0.01  # of the layout shift that browsers reckon; 0.1 is called good
SHIFTS = """(since) => new Promise((done) => {
  const found = [];
  new PerformanceObserver((list) => list.getEntries().forEach((one) => {
    if (one.hadRecentInput || one.startTime < since) return;
    found.push([one.value, one.sources.map((source) => source.node?.outerHTML?.slice(0, 120) || "").join(" | ")]);
  })).observe({type: "layout-shift", buffered: true});
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(found), 100)));
})"""
PARTS = """() => ({page: performance.getEntriesByType("navigation")[0].decodedBodySize,
  files: performance.getEntriesByType("resource").map((one) => one.name).filter((name) => name.includes("/static/"))})"""


@cache
def file_weight(url: str) -> int:
    """As it goes out in use: whitenoise keeps what is static compressed."""
    with urlopen(url) as answer:
        return len(gzip.compress(answer.read(), 9))


def moved(page: Page, since: float = 0.0) -> list[Any]:
    """What has moved since that many milliseconds after the page began, where it is more than nothing."""
    found = page.evaluate(SHIFTS, since)
    return found if sum(value for value, _nodes in found) > STILL else []


@pytest.mark.parametrize(
    ("language", "width"),
    [
        ("ar", 390),
        pytest.param("ar", 1280, marks=pytest.mark.slow),
        *(pytest.param("en", width, marks=pytest.mark.slow) for width in (390, 1280)),
    ],
)
def test_pages_are_light_and_stand_still(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    wrong: dict[str, Any] = {}
    with played() as jobs:
        for name, address in addresses(jobs).items():
            if name.startswith(("admin", "error", "create-unknown")):
                continue
            answer = page.goto(address, wait_until="load")
            assert answer is not None
            parts = page.evaluate(PARTS)
            heavy = parts["page"] + sum(map(file_weight, parts["files"]))
            if heavy > MOST or len(parts["files"]) < 3:
                wrong[name] = (heavy, parts)
            if moved(page):  # a busy machine may have painted half of a table; what a page does by itself it does again
                page.reload(wait_until="load")
                if shifts := moved(page):
                    wrong[f"{name} moved"] = shifts
    assert wrong == {}


def test_a_live_part_is_renewed_without_moving_anything(page: Page) -> None:
    with played() as jobs:
        kept.clear()  # what the page after the login was made of
        for address in ("/", "/jobs/", f"/jobs/{jobs['queued']}/"):
            page.goto(address, wait_until="load")
            page.evaluate("document.addEventListener('htmx:beforeSwap', () => { window.before ??= performance.now(); })")
            page.evaluate("document.addEventListener('htmx:afterSwap', () => document.body.classList.add('renewed'))")
            page.locator("body.renewed").wait_for(timeout=30_000)
            assert moved(page, page.evaluate("window.before")) == [], address
