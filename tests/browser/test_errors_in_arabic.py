"""The line of an error on Arabic pages begins with the beginning of its message, whichever way that runs."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import translation
from playwright.sync_api import Page

from jobs import enqueue
from jobs.domain import own_failures
from jobs.models import DeadLetterQueue, Job
from jobs.store import transitions
from jobs.store.transitions import Failure, Run

pytestmark = pytest.mark.django_db(transaction=True)
ARABIC = "انتهت مهلة الانتظار قبل أن يجيب الخادم " * 9
# Whether the first letter of the message is seen within its line; the class is an element of its own.
BEGINNINGS = """(lines) => lines.map((line) => {
  const text = line.querySelector("bdi").nextSibling, range = document.createRange(), box = line.getBoundingClientRect();
  const at = text.data.search(/\\p{L}/u);
  range.setStart(text, at); range.setEnd(text, at + 1);
  const letter = range.getBoundingClientRect();
  return letter.width > 0 && letter.left >= box.left - 1 && letter.right <= box.right + 1;
})"""


def failed(message: str) -> Job:
    job = enqueue("jobs.tasks.fail", name="اسم")
    with connection.cursor() as cursor:
        run = Run(id=job.pk, runs=1)
        transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        transitions.bury(cursor, run, Failure(error_class="DeliberateFailure", message=message), task=job.task)
    return job


@pytest.mark.parametrize("width", [390, 1280])
def test_a_long_message_is_cut_at_its_own_end(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    jobs = [failed(message) for message in (ARABIC, "no answer within the time " * 9, own_failures.TIME_LIMIT)]
    cache.clear()  # the dashboard of the login
    entry = DeadLetterQueue.objects.get(job=jobs[0])
    for address, lines in {
        "/jobs/": ".sub.err",
        "/": "a.name.mono",
        f"/jobs/{jobs[0].pk}/": ".runs .err",
        "/jobs/dead-letters/": ".clip.mono:has(> bdi)",
        "/jobs/dead-letters/resolve/": ".sub.err",
        f"/jobs/dead-letters/group/{entry.fingerprint}/": "h1 > bdi",
    }.items():
        page.goto(address)
        found = page.locator(lines).evaluate_all(BEGINNINGS)
        assert found, address
        assert all(found), (address, found)


def test_our_own_sentence_decides_the_direction_of_its_line(page: Page) -> None:
    failed(own_failures.TIME_LIMIT)
    page.goto("/jobs/")
    line = page.locator(".sub.err")
    with translation.override("ar"):
        assert str(translation.gettext(own_failures.TIME_LIMIT)) in line.inner_text()
    assert line.evaluate("one => one.matches(':dir(rtl)')")
