"""The system's chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.login import PATIENCE, log_in, opened

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
expect.set_options(timeout=PATIENCE)  # a loaded machine is no failure
# The one without windows first: it draws the same pages in half the processor time.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser on the machine these tests cannot run, and say so."""
    for item in items:
        if CHROMIUM is None and "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason="no chromium on PATH"))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": CHROMIUM, "args": FLAGS}


@pytest.fixture
def language() -> str:
    """Of the page's visitor; a test may parametrize it."""
    return "ar"


@pytest.fixture
def page(browser: Browser, live_server: Any, language: str) -> Iterator[Page]:
    """The dashboard of a superuser who has just logged in; nothing may be said on its console."""
    page = opened(browser, live_server, locale=language, viewport={"width": 1280, "height": 900})
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    log_in(page)
    yield page
    page.context.close()
    assert troubles == []
