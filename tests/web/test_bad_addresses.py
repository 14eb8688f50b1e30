"""Addresses with what no clock shows, no column holds and no filter asks for: an answer, not an error of the server."""

import json

import pytest
from django.http import QueryDict
from django.test import Client

from jobs.web.choices import ZONE_COOKIE
from tests.rows import job_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("zone", ["UTC", "Asia/Riyadh", "America/New_York"])
def test_times_at_the_ends_of_the_calendar_are_answered(sara: Client, zone: str) -> None:
    job = job_in("pending")
    sara.cookies[ZONE_COOKIE] = zone
    for query, found in {
        "since=0001-01-01T00:00": True, "until=0001-01-01T00:00": False, "since=9999-12-31T23:59": False, "until=9999-12-31T23:59": True,
        "since=0001-01-01T00:00&until=9999-12-31T23:59": True, "since=9999-12-31T23:59:59.999999": False,
    }.items():  # fmt: skip
        assert [row.pk for row in sara.get(f"/jobs/?{query}").context["page"].rows] == [job.pk] * found, query
        assert len(json.loads(b"".join(sara.get(f"/jobs/export/?format=json&{query}")))) == found, query
        chosen = sara.post("/jobs/bulk/", {"verb": "cancel", "all": "1", **QueryDict(query).dict()})
        assert ("/jobs/batches/" in chosen.headers["Location"]) == found, query


@pytest.mark.parametrize(
    "parameter",
    ["args", "kwargs", "result", "before", "queue", "task", "error_class", "actor", "status__exact", "verb__exact", "resolution__exact",
     "q", "created_at__gte", "failed_at__lt", "created_at__isnull", "priority", "o", "p", "e", "_to_field", "_popup", "all", "nonsense"],
)  # fmt: skip
def test_nonsense_in_an_address_of_the_admin_is_answered(sara: Client, parameter: str) -> None:
    job_in("failed")
    for value in ("%00", "1", "0", "x" * 5_000, "-1", "9999-12-31+23:59:59-12:00", "0001-01-01+00:00:00%2B14:00", "9" * 30, "%FF"):
        for name in ("job", "deadletterqueue", "audit"):
            answer = sara.get(f"/admin/jobs/{name}/?{parameter}={value}")
            assert answer.status_code in (200, 302, 400), (name, value)


def test_a_group_with_a_null_character_is_not_there(sara: Client) -> None:
    assert [sara.get("/jobs/dead-letters/group/%00/").status_code, sara.post("/jobs/dead-letters/group/a%00/owner/").status_code] == [
        404,
        404,
    ]
