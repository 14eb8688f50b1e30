"""Monday, 9:00: many jobs failed. Find, mend an argument, try one, reprocess the rest at a pace, resolve the others, see the audit."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jobs import enqueue_many
from jobs.models import Audit, DeadLetterQueue, Job
from tests.waiting import until
from tests.workers import running_worker

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("language", ["ar", pytest.param("en", marks=pytest.mark.slow)]),
]
KINDS = {"t.priced": 120, "jobs.tasks.fail": 50, "t.permanent": 30}


def fail_all() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    enqueue_many("t.priced", [((), {"order": n, "price": "none"}) for n in range(KINDS["t.priced"])], max_retries=0)
    enqueue_many("jobs.tasks.fail", [((), {"message": f"order {n}"}) for n in range(KINDS["jobs.tasks.fail"])], max_retries=0)
    enqueue_many("t.permanent", [((), {})] * KINDS["t.permanent"])
    until(lambda: DeadLetterQueue.objects.count() == sum(KINDS.values()), timeout=120)


def test_two_hundred_failures_are_triaged(page: Page, tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        fail_all()
        page.goto("/")
        page.click(".alert-bad a.btn")
        rows = page.locator("section >> nth=0").locator("tbody tr")
        expect(rows).to_have_count(3)
        rows.filter(has_text="t.priced").locator("a").first.click()
        expect(page.locator("aside")).to_contain_text('price = "none"')
        page.click(".page a.btn-main")
        expect(page.locator("h1")).to_contain_text("120")
        page.select_option("[name=argument]", "price")
        page.fill("[name=value]", '"12.50"')
        page.select_option("[name=pace]", "50")
        page.check("[name=trial]")
        page.click("form.card button.btn-main")
        page.wait_for_url(re.compile(r"/jobs/batches/\d+/$"))
        expect(page.locator("#stop-button")).to_have_count(0, timeout=60_000)
        until(lambda: Job.objects.filter(task="t.priced", status="completed").count() == KINDS["t.priced"], timeout=60)
        page.goto("/jobs/dead-letters/")
        page.locator("section >> nth=0").locator("tbody tr").filter(has_text="t.permanent").locator("a").first.click()
        page.click(".page a.btn:not(.btn-main)")
        page.fill("[name=note]", "عميل محذوف")
        page.click("form.card button.btn-main")
        page.wait_for_url(re.compile(r"/jobs/batches/\d+/$"))
    left = DeadLetterQueue.objects.filter(resolution="open")
    assert (left.count(), set(left.values_list("job__task", flat=True))) == (50, {"jobs.tasks.fail"})
    assert DeadLetterQueue.objects.filter(resolution="resolved", note="عميل محذوف").count() == KINDS["t.permanent"]
    page.goto("/jobs/audit/?actor=sara&verb=reprocess")
    expect(page.locator("tbody tr").first).to_be_visible()
    assert Audit.objects.filter(actor="sara", source="page").count() == KINDS["t.priced"] + KINDS["t.permanent"]
    started = list(Job.objects.filter(task="t.priced").order_by("started_at").values_list("started_at", "finished_at"))
    assert started[0][1] <= started[1][0]  # the trial had ended before the second began
    turns = sorted(Job.objects.filter(task="t.priced").values_list("run_at", flat=True))  # when each was made due, whenever it ran
    seconds = (turns[-1] - turns[1]).total_seconds()
    assert seconds >= (KINDS["t.priced"] - 2) / 50 - 0.6  # 50 per second, a round each half second
