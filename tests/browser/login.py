"""The login of the tests' superuser."""

import re
from typing import Any

from playwright.sync_api import Browser, Page

PATIENCE = 120_000  # ms: what a page may take on a machine that does much else


def opened(browser: Browser, live_server: Any, **options: Any) -> Page:
    """A page of a visitor of his own, with the account that `log_in` asks for; whoever opens it closes its context."""
    from django.contrib.auth import get_user_model
    from django.core.cache import cache

    cache.clear()
    get_user_model().objects.create_superuser("sara", "", "secret")
    context = browser.new_context(base_url=live_server.url, **options)
    context.set_default_timeout(PATIENCE)
    return context.new_page()


def log_in(page: Page) -> None:
    """Through the form; ends at the dashboard."""
    page.goto("/accounts/login/")
    page.fill("#id_username", "sara")
    page.fill("#id_password", "secret")
    page.click("form button.btn-main")
    page.wait_for_url(re.compile(r"//[^/]+/$"))  # the address of the login ends with a slash too
