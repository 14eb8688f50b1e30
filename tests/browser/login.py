"""The login of the tests' superuser."""

import re

from playwright.sync_api import Page

PATIENCE = 120_000  # ms: what a page may take on a machine that does much else


def log_in(page: Page) -> None:
    """Through the form; ends at the dashboard."""
    page.goto("/accounts/login/")
    page.fill("#id_username", "sara")
    page.fill("#id_password", "secret")
    page.click("form button.btn-main")
    page.wait_for_url(re.compile(r"//[^/]+/$"))  # the address of the login ends with a slash too
