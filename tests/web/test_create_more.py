"""What few new jobs need: the form has a time limit and a unique key."""

from typing import Any

import pytest
from celery import current_app
from django.test import Client

from jobs import enqueue
from jobs.models import Job
from tests.rows import job_in
from tests.web.test_create import post

pytestmark = pytest.mark.django_db
MORE = '<details class="fold"{}><summary>More</summary>'


def test_a_limit_and_a_key_are_the_job_s_own(sara: Client) -> None:
    assert post(sara, timeout="90", unique_key="nightly").status_code == 302
    assert Job.objects.values_list("timeout", "unique_key").get() == (90, "nightly")


def test_left_empty_they_are_as_usual_and_the_form_says_what_that_is(sara: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.JOBS_DEFAULT_TIMEOUT = 7200
    page = sara.get("/jobs/create/?task=jobs.tasks.sleep").content.decode()
    assert MORE.format("") in page
    assert "Seconds for each run. If empty, the default: 2 h." in page
    assert post(sara, timeout="", unique_key="").status_code == 302
    assert Job.objects.values_list("timeout", "unique_key").get() == (7200, None)
    monkeypatch.setattr(current_app.tasks["jobs.tasks.sleep"], "timeout", 30)
    assert "If empty, the default: 30 s." in sara.get("/jobs/create/?task=jobs.tasks.sleep").content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timeout", "0"),
        ("timeout", "soon"),
        ("timeout", "1.5"),
        ("timeout", "9" * 30),
        ("unique_key", "k" * 300),
        ("unique_key", "a\u202eb"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", ["ar", "en"])
def test_what_they_cannot_be_stands_at_the_field_in_sight(sara: Client, field: str, value: str, language: str) -> None:
    sara.cookies["django_language"] = language
    answer = post(sara, **{field: value})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert '<details class="fold" open>' in answer.content.decode()
    assert not Job.objects.exists()


def test_a_key_whose_job_has_not_ended_makes_no_other_job_in_silence(sara: Client) -> None:
    first = enqueue("jobs.tasks.sleep", args=[1], unique_key="nightly")
    answer = post(sara, unique_key="nightly")
    assert answer.status_code == 422
    assert answer.context["form"].errors == {"unique_key": [f"Job {first.pk} with this key has not ended yet."]}
    Job.objects.filter(pk=first.pk).delete()
    assert post(sara, unique_key="nightly").status_code == 302


def test_run_again_it_keeps_the_limit_of_the_job_but_not_its_key(sara: Client) -> None:
    old = job_in("failed", timeout=50, unique_key="nightly")
    page = sara.get(f"/jobs/create/?from={old.pk}")
    assert "If empty, the default: 50 s." in page.content.decode()
    fields = {"token": page.context["form"]["token"].value(), "argument-seconds": "0", "priority": "5", "max_retries": "3", "when": "now"}
    assert sara.post(f"/jobs/create/?from={old.pk}", {**fields, "queue": "celery"}).status_code == 302
    assert Job.objects.values_list("timeout", "unique_key").latest("pk") == (50, None)
