"""The list of jobs as a file."""

import csv
import io
import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs import enqueue
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
