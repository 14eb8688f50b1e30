"""The list of jobs as a file."""

import csv
import io
import json
import random

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs import enqueue
from jobs.models import Job
from jobs.web import download
from tests.rows import job_in

pytestmark = pytest.mark.django_db


def test_the_file_has_what_the_list_has(sara: Client) -> None:
    nasty = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name='=HYPERLINK("http://x")', priority=9)
    job_in("pending", priority=1)
    answer = sara.get("/jobs/export/?format=csv&priority=9")
    assert answer.streaming
    assert answer["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert [(row["id"], row["name"]) for row in rows] == [(str(nasty.pk), '\'=HYPERLINK("http://x")')]
    jobs = json.loads(sara.get("/jobs/export/?format=json").getvalue())
    assert [job["priority"] for job in jobs] == [1, 9]
    assert jobs[1]["name"] == nasty.name
    assert json.loads(sara.get("/jobs/export/?format=json&q=nobody").getvalue()) == []
    assert sara.get("/jobs/export/?format=exe").status_code == 400
    assert sara.get("/jobs/export/?format=csv&since=never").status_code == 400
    assert sara.post("/jobs/export/?format=csv").status_code == 405


def test_the_file_is_for_those_who_may_see_jobs(client: Client) -> None:
    assert client.get("/jobs/export/?format=csv").status_code == 302
    client.force_login(get_user_model().objects.create_user("guest"))
    assert client.get("/jobs/export/?format=csv").status_code == 403


def test_of_long_rows_fewer_are_held_at_once(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ROOM", 50_000)
    jobs = [enqueue("jobs.tasks.fail", kwargs={"message": "".join(random.choices("0123456789abcdef", k=20_000))}) for _ in range(4)]
    with CaptureQueriesContext(connection) as captured:
        found = json.loads(sara.get("/jobs/export/?format=json").getvalue())
    assert [job["kwargs"] for job in found] == [job.kwargs for job in reversed(jobs)]
    reads = [query["sql"] for query in captured.captured_queries if "last_error" in query["sql"]]
    assert [sql.rpartition(" ")[2] for sql in reads] == ["2", "1000"]


@pytest.mark.parametrize("without_cursors", [True, False])
def test_no_more_rows_are_held_than_are_read_at_once(sara: Client, monkeypatch: pytest.MonkeyPatch, without_cursors: bool) -> None:
    """Also past a pooler; the order is that of the list, and what is inserted meanwhile moves nothing."""
    monkeypatch.setattr(download, "CHUNK", 3)
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", without_cursors)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, priority) SELECT 't', n % 2 FROM generate_series(1, 14) n")
    wanted = list(Job.objects.filter(priority=1).order_by("-pk").values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as captured:
        lines = iter(sara.get("/jobs/export/?format=csv&priority=1"))
        heading, first = next(lines), next(lines)
        enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, priority=1)
        found = [line.split(b",")[0] for line in (first, *lines)]
    assert heading.startswith(b"\xef\xbb\xbfid,")
    assert found == [str(pk).encode() for pk in wanted]
    reads = [query["sql"] for query in captured.captured_queries if "last_error" in query["sql"] and query["sql"].startswith("SELECT")]
    assert len(reads) == 3
    assert all("LIMIT 3" in sql for sql in reads)
