"""With a page enlarged, another keyboard, a screen reader, colours of the system's own, or on paper."""

import pytest
from playwright.sync_api import Page, expect

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
    page.wait_for_url("**/accounts/login/")


def test_the_menu_closes_when_the_focus_leaves_it(page: Page) -> None:
    page.goto("/jobs/")
    page.focus(".menu > summary")
    page.keyboard.press("Enter")
    last = page.locator(".menu-box button").last
    last.focus()
    expect(last).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".menu-box")).to_be_hidden()
