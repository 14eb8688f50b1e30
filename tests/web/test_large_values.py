"""A job with much in it: no list reads it, its page reads the beginning, and a new job is not made of it in a form."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import enqueue
from jobs.models import DeadLetterQueue, Job
from jobs.store import cut
from jobs.web import values
from tests.rows import job_in
from tests.web.previews import preview
from tests.web.test_size import queries

pytestmark = pytest.mark.django_db
LONG = [*(f"jobs_job.{name}" for name in cut.LIMITS), "jobs_deadletterqueue.traceback"]
PAGES = {
    "/": [], "/jobs/": [], "/jobs/?status=failed": [], "/jobs/dead-letters/": [], "/jobs/workers/": [],
    "/admin/jobs/job/": [], "/admin/jobs/deadletterqueue/": [], "/jobs/{job}/": [], "/admin/jobs/job/{job}/change/": [],
    "/jobs/dead-letters/reprocess/?group={group}": [], "/jobs/dead-letters/resolve/?group={group}": [],
    "/jobs/dead-letters/group/{group}/": ["jobs_deadletterqueue.traceback"],  # the newest
}  # fmt: skip
MUCH = 3 * cut.SHOWN


@pytest.mark.parametrize("address", PAGES)
def test_no_page_reads_all_of_what_may_be_long(admin_client: Client, address: str) -> None:
    job = job_in("failed")
    address, expected = address.format(job=job.pk, group=DeadLetterQueue.objects.get().fingerprint), PAGES[address]
    asked = " ".join(queries(admin_client, address)).replace('"', "")
    assert [name for name in LONG if re.search(rf"{name}(::text)?(,| AS(?! whole)| FROM)", asked)] == expected


def written(**columns: Any) -> Job:
    """A completed job with these values, as another program may have written them."""
    job = job_in("completed")
    with connection.cursor() as cursor:
        for name, value in columns.items():
            cursor.execute(f"UPDATE jobs_job SET {name} = %s WHERE id = %s", [json.dumps(value), job.pk])
    return job


def test_the_page_of_a_job_shows_the_beginning_of_what_is_long_and_says_so(sara: Client) -> None:
    headers = {"headers": {"trail": "t" * 15 * cut.SHOWN}}
    job = written(
        args=["a" * MUCH], kwargs={"k": "ك" * MUCH}, result="r" * MUCH, progress={"fraction": 1, "message": "p" * MUCH}, options=headers
    )
    said = "Only the beginning is shown: 100,000 of 300,00[24] characters. Download the list of jobs to get all of it."
    page = sara.get(f"/jobs/{job.pk}/").content.decode()
    assert (len(re.findall(said, page)), page.count("of 1,800,009 characters. Download")) == (2, 1)
    assert (page.count("a" * 99_998), page.count("r" * 99_999), page.count("ك" * 16_000)) == (1, 1, 1)
    assert len(page) < 300_000
    admin = sara.get(f"/admin/jobs/job/{job.pk}/change/").content.decode()
    assert (admin.count("Only the beginning is shown"), admin.count("Download the list of jobs"), admin.count("p" * 90_000)) == (5, 3, 1)
    assert len(admin) < 600_000
    assert "r" * MUCH in b"".join(sara.get(f"/jobs/export/?q={job.pk}&format=json")).decode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"url": "db://jobs:" + "s" * MUCH + "@host/"}, '{\n  "url": "db://jobs:***"\n}'),
        ({"body": "token=('" + "s" * MUCH + "')"}, '{\n  "body": "token=***"\n}'),
        ({"password": "s" * MUCH, "seconds": 1}, '{\n  "password": "***"\n}'),
        ({"first": 1, "of": [[2, 3], "s" * 9, {"token": ["s" * MUCH]}]}, None),
    ],
)
def test_what_is_cut_shows_no_secret_whose_end_is_missing(value: Any, shown: str | None) -> None:
    job = cut.cut(Job.objects.all()).get(pk=written(kwargs=value).pk)
    text = values.shown(job, "kwargs").text
    assert "s" * 10 not in text
    assert json.loads(text) == ({"first": 1, "of": [[2, 3], "s" * 9, {"token": "***"}]} if shown is None else json.loads(shown))


def test_what_is_not_long_is_read_to_its_end() -> None:
    at_most = "x" * (cut.SHOWN - len('[""]'))
    job = cut.cut(Job.objects.all()).get(pk=written(args=[at_most], kwargs={"number": 1e16, "a": "\0"}).pk)
    found = {name: cut.part(job, name) for name in ("args", "kwargs", "result", "progress")}
    assert {name: part.value for name, part in found.items()} == {
        "args": [at_most], "kwargs": {"number": 1e16, "a": "\0"}, "result": None, "progress": None
    }  # fmt: skip
    assert [name for name, part in found.items() if part.is_cut] == []


def test_a_form_is_not_filled_with_more_than_a_job_may_have(sara: Client, settings: Any) -> None:
    settings.JOBS_MAX_ARGUMENT_BYTES = 2_000
    letters = enqueue("jobs.tasks.fail", kwargs={"message": "ك" * 900})
    assert len(json.dumps(letters.kwargs)) > 5_000, "as escapes"
    assert sara.get(f"/jobs/create/?from={letters.pk}").status_code == 200
    for method in (sara.get, sara.post):
        answer = method(f"/jobs/create/?from={written(kwargs={'seconds': 1, 'x': 'y' * 6_000}).pk}", follow=True)
        assert "larger than JOBS_MAX_ARGUMENT_BYTES (2000 bytes): the form cannot hold them" in answer.content.decode()
        assert answer.redirect_chain[0][0].startswith("/jobs/")


def test_the_arguments_of_long_ones_are_named_and_said_to_be_shared_by_nobody(sara: Client) -> None:
    for _ in range(2):
        job = job_in("failed")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_job SET kwargs = %s WHERE id = %s", [json.dumps({"seconds": 1, "blob": "b" * MUCH}), job.pk])
    group = DeadLetterQueue.objects.latest("id").fingerprint
    page = sara.get(f"/jobs/dead-letters/reprocess/?group={group}").content.decode()
    assert '<option value="blob">' in page
    assert '<option value="seconds">' in page
    assert len(page) < 100_000
    assert sara.get(f"/jobs/dead-letters/group/{group}/").context["shared"] == []


def test_no_argument_of_a_job_is_changed_that_has_more_than_a_job_may_have(sara: Client) -> None:
    """It would have been read from beginning to end, to be refused after that."""
    job = job_in("failed")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET kwargs = %s WHERE id = %s", [json.dumps({"seconds": 1, "blob": "b" * 1_000_000}), job.pk])
    fields = preview(sara, "reprocess", f"group={DeadLetterQueue.objects.get().fingerprint}")
    with CaptureQueriesContext(connection) as captured:
        answer = sara.post("/jobs/dead-letters/reprocess/", {**fields, "argument": "seconds", "value": "2"})
    assert answer.status_code == 422
    said = f"The arguments of job {job.pk} are larger than JOBS_MAX_ARGUMENT_BYTES (262144 bytes): none of them can be changed."
    assert answer.context["form"].errors == {"argument": [said]}
    assert not any('"jobs_job"."kwargs",' in query["sql"] or '"jobs_job"."kwargs" FROM' in query["sql"] for query in captured)
