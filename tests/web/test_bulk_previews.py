"""The preview of a bulk action promises what then happens."""

import re

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import batches, enqueue
from jobs.domain.actors import Actor, Source
from jobs.models import Batch, Job
from jobs.models.audit import Verb
from jobs.web.forms import PERMISSIONS
from tests.rows import inserted, job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.PAGE)
STATUSES = ["pending", "running", "completed", "failed", "cancelled"]
OPEN = "They have open dead-letter entries: reprocess or resolve those first."
TAKEN = "Other jobs with the same unique keys have not ended."


def page_of(client: Client, draft: Batch) -> str:
    return client.get(f"/jobs/batches/{draft.pk}/").content.decode()


def test_jobs_with_an_open_dead_letter_are_not_promised_to_be_deleted(sara: Client) -> None:
    failed = [job_in("failed").pk, job_in("failed").pk]
    content = page_of(sara, batches.draft(Verb.DELETE, failed, SARA))
    assert "0 jobs will be deleted" in content
    assert f"2 jobs stay as they are. {OPEN}" in content
    for words in ('<button class="btn btn-l', "What will happen", 'name="reason"'):
        assert words not in content, "nothing will"
    content = page_of(sara, batches.draft(Verb.DELETE, [*failed, job_in("completed").pk], SARA))
    assert "1 job will be deleted" in content
    assert ">Delete 1 job</button>" in content
    assert "What will happen" in content


def test_the_tasks_of_a_preview_add_up(sara: Client) -> None:
    jobs = [inserted(f"shop.tasks.t{kind}") for kind in range(8) for _ in range(9 - kind)]
    content = page_of(sara, batches.draft(Verb.CANCEL, jobs, SARA))
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td class="num"><b>(\d+)</b>', content)
    assert [number for _task, number in rows] == ["9", "8", "7", "6", "5", "9"]
    assert rows[-1][0] == "3 other tasks"
    assert f"{len(jobs)} jobs will be changed" in content
    five = page_of(sara, batches.draft(Verb.CANCEL, jobs[:35], SARA))
    assert "other task" not in five


def test_jobs_that_run_are_not_promised_to_be_cancelled(sara: Client) -> None:
    jobs = [job_in("running").pk, job_in("running").pk, job_in("pending").pk]
    content = page_of(sara, batches.draft(Verb.CANCEL, jobs, SARA))
    assert "1 job will be changed" in content
    assert "2 running jobs will be asked to stop; they may still complete." in content
    assert ">Cancel 3 jobs</button>" in content


def test_jobs_whose_key_is_taken_are_not_promised_to_run_again(sara: Client) -> None:
    jobs = [job_in("cancelled", unique_key="a"), job_in("cancelled", unique_key="b"), job_in("cancelled", unique_key="b")]
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="a")
    content = page_of(sara, batches.draft(Verb.REPROCESS, [job.pk for job in jobs], SARA))
    assert "1 job will be changed" in content
    assert f"2 jobs stay as they are. {TAKEN}" in content


@pytest.mark.parametrize("verb", list(PERMISSIONS))
def test_what_is_promised_happens(sara: Client, verb: Verb) -> None:
    jobs = [job_in(status).pk for status in STATUSES for _ in range(2)]
    jobs += [job_in("cancelled", unique_key="same").pk for _ in range(3)]
    gone = max(jobs) + 1
    draft = batches.draft(verb, [*jobs, gone], SARA)
    context = sara.get(f"/jobs/batches/{draft.pk}/").context
    promised, left = context["changed"], dict(context["left"])
    assert (promised > 0, sum(left.values())) == (True, len(jobs) + 1 - promised)
    running = Job.objects.filter(pk__in=jobs, status="running").count() if verb is Verb.CANCEL else 0
    assert context["running"] == running
    batches.confirm(draft.pk, SARA, **{"priority": {"priority": 9}, "queue": {"queue": "slow"}}.get(verb.value, {}))
    draft.refresh_from_db()
    draft.reasons.pop("asked", None)
    assert (draft.done, draft.reasons) == (promised - running, left)


def test_what_was_confirmed_is_no_preview_any_more(sara: Client) -> None:
    """In another tab, say, where something wrong is typed now."""
    job = job_in("pending", priority=1).pk
    draft = batches.draft(Verb.PRIORITY, [job], SARA)
    confirm = f"/jobs/batches/{draft.pk}/confirm/"
    assert "nothing has been changed yet" in sara.post(confirm, {"priority": "77"}).content.decode()
    sara.post(confirm, {"priority": "7"})
    answer = sara.post(confirm, {"priority": "77"}, follow=True)
    assert (answer.status_code, "nothing has been changed yet" in answer.content.decode()) == (200, False)
    assert "it has already been confirmed" in answer.content.decode()
    assert Job.objects.get().priority == 7


def test_only_jobs_that_change_are_shown(sara: Client) -> None:
    done = [job_in("completed").pk for _ in range(5)] + [enqueue("jobs.tasks.fail", kwargs={"message": "x"}).pk]
    Job.objects.filter(pk=done[-1]).update(status="completed", finished_at=Now())
    waits = job_in("pending").pk
    context = sara.get(f"/jobs/batches/{batches.draft(Verb.CANCEL, [*done, waits], SARA).pk}/").context
    assert [job.pk for job in context["sample"]] == [waits]
    assert context["tasks"] == []  # one kind alone


@pytest.mark.parametrize(("queue", "warned"), [("celery", False), ("slow", True)])
def test_a_move_to_a_queue_that_nobody_serves_says_so(sara: Client, worker: int, queue: str, warned: bool) -> None:
    job = job_in("pending", queue="other").pk
    draft = batches.draft(Verb.QUEUE, [job], SARA)
    chosen = {"action": "move_jobs", "_selected_action": job, "confirmed": "1", "queue": queue}
    for address, form in ((f"/jobs/batches/{draft.pk}/confirm/", {"queue": queue}), ("/admin/jobs/job/", chosen)):
        content = sara.post(address, form, follow=True, headers={"accept-language": "en"}).content.decode()
        assert ("No worker is serving the queue “\u2066slow\u2069” now" in content) == warned, address
    assert Job.objects.get().queue == queue


@pytest.mark.parametrize("verb", [Verb.CANCEL, Verb.REPROCESS, Verb.DELETE])
def test_the_numbers_of_a_preview_are_one_text_and_not_so_many_expressions(sara: Client, verb: Verb) -> None:
    """Of 200,000 jobs a preview took three to five seconds, most of them to read the statement."""
    draft = batches.draft(verb, [job_in("completed").pk for _ in range(3)], SARA)
    with CaptureQueriesContext(connection) as captured:
        page_of(sara, draft)
    numbers = ",".join(map(str, draft.ids))
    asked = [sql for query in captured.captured_queries if numbers in (sql := query["sql"].replace(" ", ""))]
    assert asked
    assert [sql for sql in asked if f"'{{{numbers}}}'::bigint[]" not in sql or f"[{numbers}]" in sql] == []
