"""What a test of a page waits for."""

from playwright.sync_api import Page

from tests.browser.login import PATIENCE
from tests.waiting import until


def renewed(page: Page) -> None:
    """Wait until the live part was written anew."""
    page.evaluate("document.querySelector('#live').old = true")
    new = "!document.querySelector('#live').old"
    until(lambda: page.wait_for_timeout(50) or page.evaluate(new), timeout=PATIENCE / 1000, what="renewal")
