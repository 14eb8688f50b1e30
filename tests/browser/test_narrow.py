"""What a narrow page shows first, says about what lies beside it, and keeps on one line."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect

from jobs.domain.statuses import State
from jobs.store import counts
from tests.browser.login import log_in, opened
from tests.browser.scene import played
from tests.rows import inserted, job_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def language() -> str:
    return "en"


@pytest.fixture
def phone(browser: Browser, live_server: Any, language: str) -> Iterator[Page]:
    """A phone on which no script runs."""
    page = opened(browser, live_server, locale=language, java_script_enabled=False, viewport={"width": 390, "height": 844})
    log_in(page)
    yield page
    page.context.close()


@pytest.mark.parametrize(
    ("address", "field", "wanted"),
    [("/jobs/", "#q", "Invoice"), ("/jobs/dead-letters/", "#q", "boom"), ("/jobs/audit/", "#id_actor", "sara")],
)
def test_the_filters_are_folded_until_one_is_set(phone: Page, address: str, field: str, wanted: str) -> None:
    job_in("failed", name="Invoice")
    phone.goto(address)
    expect(phone.locator(field)).to_be_hidden()
    phone.click(".fold-up summary")
    phone.fill(field, wanted)
    phone.click(".filters > button.btn")
    expect(phone.locator(field)).to_have_value(wanted)
    expect(phone.locator(field)).to_be_visible()
    expect(phone.locator(".fold-up")).to_have_count(0)


def test_the_first_job_is_in_the_upper_half_of_a_phone(phone: Page) -> None:
    job_in("completed", name="Invoice")
    phone.goto("/jobs/")
    row = phone.locator("tbody tr").bounding_box()
    assert row is not None
    assert row["y"] < 422


def test_a_wide_page_has_its_filters_open(page: Page) -> None:
    page.goto("/jobs/")
    expect(page.locator("#q")).to_be_visible()
    expect(page.locator(".fold-up")).to_be_hidden()


def edges(page: Page, name: str) -> tuple[bytes, bytes]:
    """Pictures of the left and the right edge of a row of links, of a strip in which no text stands."""
    box = page.locator(name).bounding_box()
    assert box is not None
    places = (box["x"], box["x"] + box["width"] - 1)
    left, right = (page.screenshot(clip={"x": x, "y": box["y"] + 8, "width": 1, "height": 2}) for x in places)
    return left, right


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "ar"])
def test_a_row_of_links_is_shaded_where_more_of_it_lies(page: Page, language: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/jobs/?live=off")
    before = 0 if language == "en" else 1  # the edge at which the row begins
    for name in (".nav", ".tabs"):
        page.evaluate("name => document.querySelector(name).scrollTo({left: 0})", name)
        at_first = edges(page, name)
        page.evaluate("([name, way]) => document.querySelector(name).scrollTo({left: way * 9999})", [name, 1 - 2 * before])
        at_last = edges(page, name)
        plain = at_first[before]
        assert at_last[1 - before] == plain, f"{name}: nothing lies beyond either end"
        assert plain not in (at_first[1 - before], at_last[before]), f"{name}: more lies there"
    page.set_viewport_size({"width": 1200, "height": 844})
    assert len(set(edges(page, ".nav"))) == 1, "all of it fits"


def starts(page: Page, names: list[str]) -> list[float]:
    """Where the texts begin, or end, in a page from left to right."""
    script = "one => { const all = document.createRange(); all.selectNodeContents(one); return all.getBoundingClientRect().left; }"
    return [round(page.locator(name).first.evaluate(script)) for name in names]


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
def test_the_texts_of_a_card_begin_at_one_line(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"/jobs/{job_in('completed').pk}/")
    assert len(set(starts(page, [".card:has(.runs) h2", ".runs > .dim"]))) == 1
    assert len(set(starts(page, [".why h2", ".why-answer"]))) == 1


@pytest.mark.parametrize("width", [390, pytest.param(768, marks=pytest.mark.slow)])
def test_the_last_column_that_is_seen_ends_where_its_card_does(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    with played():
        cache.clear()
        page.goto("/?live=off")
        ends = page.locator("[aria-labelledby=queues]").evaluate(
            """card => [card.querySelector(".card-head"), [...card.querySelectorAll("thead th")].findLast(one => one.offsetWidth)].map(
                one => getComputedStyle(one).paddingInlineEnd)"""
        )
    assert ends[0] == ends[1]


@pytest.mark.parametrize("width", [390, 1280, *(pytest.param(width, marks=pytest.mark.slow) for width in (768, 1920))])
def test_no_figure_breaks_over_two_lines(page: Page, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    large = {State.COMPLETED: counts.Estimate(234_567), State.FAILED: counts.Estimate(19_345), State.REPLACED: counts.Number(0)}
    monkeypatch.setattr(counts, "counts", lambda: dict.fromkeys(State, counts.Number(9_999)) | large)
    page.set_viewport_size({"width": width, "height": 844})
    with played():  # the oldest job has waited for two days and six hours
        cache.clear()
        page.goto("/?live=off")
        heights = page.locator(".counts-n").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert len(heights) == 8
    assert max(heights) < 1.5 * min(heights), heights


def test_a_task_has_room_for_its_name_on_a_phone(page: Page) -> None:
    inserted("billing.charge_card")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/jobs/types/")
    heights = page.locator("tr", has_text="charge_card").locator(".name, .pill").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert len(heights) == 2
    assert max(heights) < 30, heights
