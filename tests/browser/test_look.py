"""Every page in both languages, both themes and all widths: nothing that axe finds, nothing in the console, nothing sideways."""

import os
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from django.core.cache import cache
from playwright.sync_api import Browser, Page

from jobs.models import Batch, DeadLetterQueue, Worker
from jobs.store import counts
from tests.browser.login import PATIENCE, log_in
from tests.browser.scene import played

pytestmark = pytest.mark.django_db(transaction=True)
PICTURES = Path(__file__).resolve().parents[2] / "test-pictures"
WIDTHS = {390: 844, 640: 450, 1280: 900}  # 640: 1280 at 200 %
IN_SHORT = {("ar", "light", 1280), ("en", "dark", 390)}
# What another theme and width can change; all other rules look at the same document again.
OF_LOOKS = {("en", "dark", 390): ["color-contrast", "scrollable-region-focusable"]}
LOOKS = [
    pytest.param(*look, marks=() if look in IN_SHORT else pytest.mark.slow) for look in product(("ar", "en"), ("light", "dark"), WIDTHS)
]


def addresses(jobs: dict[str, int]) -> dict[str, str]:
    """Each page by the name of its picture."""
    return {
        "dashboard": "/",
        "jobs": "/jobs/",
        "jobs-found": "/jobs/?status=failed&q=Invoice",
        "jobs-none": "/jobs/?q=nobody-has-this-name",
        "create": "/jobs/create/",
        "create-sleep": "/jobs/create/?task=jobs.tasks.sleep",
        "create-http": "/jobs/create/?task=jobs.tasks.http_request",
        "create-unknown": "/jobs/create/?task=no.such.task",
        **{f"job-{state}": f"/jobs/{number}/" for state, number in jobs.items()},
        "workers": "/jobs/workers/",
        "worker": f"/jobs/workers/{Worker.objects.get().pk}/",
        "worker-drain": f"/jobs/workers/{Worker.objects.get().pk}/drain/",
        "worker-shutdown": f"/jobs/workers/{Worker.objects.get().pk}/shutdown/",
        "queues": "/jobs/queues/",
        "dead-letter-group": f"/jobs/dead-letters/group/{DeadLetterQueue.objects.latest('id').fingerprint}/",
        "dead-letters-reprocess": "/jobs/dead-letters/reprocess/?q=order",
        "dead-letters-resolve": "/jobs/dead-letters/resolve/?q=order",
        "batches": "/jobs/batches/",
        "batch": f"/jobs/batches/{Batch.objects.exclude(state='draft').latest('id').pk}/",
        "batch-done": f"/jobs/batches/{Batch.objects.filter(state='done').latest('id').pk}/",
        "batch-preview": f"/jobs/batches/{Batch.objects.filter(state='draft').latest('id').pk}/",
        "jobs-filters": "/jobs/?priority=5&since=2001-01-01T00:00",
        "types": "/jobs/types/",
        "audit": "/jobs/audit/",
        "audit-found": "/jobs/audit/?verb=priority&actor=sara",
        "dead-letters": "/jobs/dead-letters/",
        "dead-letters-none": "/jobs/dead-letters/?q=nobody-has-this-error",
        "dead-letters-resolved": "/jobs/dead-letters/?show=resolved",
        "error-404": "/no-such-page/",
        "admin": "/admin/",
        "admin-jobs": "/admin/jobs/job/",
        "admin-job-add": "/admin/jobs/job/add/",
        "admin-job": f"/admin/jobs/job/{jobs['failed']}/change/",
        "admin-dead-letters": "/admin/jobs/deadletterqueue/",
    }


@pytest.fixture
def desk(language: str, browser: Browser, live_server: Any) -> Iterator[Any]:
    """Opens pages of somebody who is logged in; what the browser complains about is collected."""
    get_user_model().objects.create_superuser("sara", "", "secret")
    contexts = []

    def opened(width: int, theme: str) -> tuple[Page, list[str]]:
        context = browser.new_context(
            locale=language, base_url=live_server.url, color_scheme=theme, viewport={"width": width, "height": WIDTHS[width]}
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page, troubles = context.new_page(), []
        page.on("console", lambda message: troubles.append(f"{page.url} {message.location}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        return page, troubles

    yield opened
    for context in contexts:
        context.close()


def take_picture(page: Page, name: str) -> None:
    """Of the whole page, where the environment asks for it by PICTURES=1: of all of them it takes the browser half a minute."""
    if os.environ.get("PICTURES"):
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def faults(page: Page, name: str, troubles: list[str], rules: list[str] | None = None) -> list[str]:
    """What axe finds on the page as it stands, by these rules or by all, and whether it scrolls sideways."""
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")  # no part of the page renews itself meanwhile
    take_picture(page, name)
    before = len(troubles)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = Axe().run(page, options=options).response["violations"]
    del troubles[before:]  # axe tries styles of its own, which the policy of the page refuses
    wrong = [f"{name}: {one['id']} at {', '.join(str(node['target']) for node in one['nodes'][:3])}" for one in found]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        wrong.append(f"{name}: scrolls sideways")
    return wrong


@pytest.mark.parametrize(("language", "theme", "width"), LOOKS)
def test_every_page_is_without_fault(desk: Any, language: str, theme: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    page, troubles = desk(width, theme)
    suffix = f"{language}.{theme}.{width}"
    rules = OF_LOOKS.get((language, theme, width))
    wanted = os.environ.get("LOOK_AT", "")
    page.goto("/accounts/login/?next=/jobs/")
    wrong = faults(page, f"login.{suffix}", troubles, rules)
    log_in(page)
    with played() as jobs:
        cache.clear()
        for name, address in addresses(jobs).items():
            if re.search(wanted, name):
                page.goto(address)
                wrong += faults(page, f"{name}.{suffix}", troubles, rules)
        page.goto("/jobs/create/?task=jobs.tasks.sleep")
        page.fill("[name=max_retries]", "-1")
        page.click("main form[method=post] button.btn-main")
        page.locator(".wrong").first.wait_for()
        wrong += faults(page, f"create-errors.{suffix}", troubles, rules)
        page.evaluate("document.querySelectorAll('[name=csrfmiddlewaretoken]').forEach((one) => { one.value = 'x'.repeat(64); })")
        page.click("main form[method=post] button.btn-main")
        page.locator(".lost").wait_for()
        wrong += faults(page, f"error-403.{suffix}", troubles, rules)
        monkeypatch.setattr(counts, "counts", None)
        page.goto("/jobs/")
        wrong += faults(page, f"error-500.{suffix}", troubles, rules)
    assert "\n".join(wrong) == ""
    assert "\n".join(text for text in troubles if not re.search("status of (403|404|422|500)", text)) == ""
