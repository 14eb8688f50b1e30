"""JSON that cannot be kept: refused in each form on the field where it was typed, and shown there as it was typed."""

import html
import json
from typing import Any

import pytest
from django.test import Client

from jobs.models import Job
from jobs.web.widgets import JSONField
from tests.rows import job_in

pytestmark = pytest.mark.django_db
ADD = {
    "task": "jobs.tasks.fail", "name": "", "args": "[]", "kwargs": "{}", "priority": "5", "max_retries": "3", "run_at": "", "queue": "",
    "attempt_set-TOTAL_FORMS": "0", "attempt_set-INITIAL_FORMS": "0",
}  # fmt: skip
TOO_MUCH = {  # JSON that Python does not read, or does not write again
    "9" * 5_000: ("number that is too large", "عدد كبير جدًا"), '{"a": 1e400}': ("This has a number that is too large", "عدد كبير جدًا"),
    "[NaN]": ("that JSON does not allow", "لا تسمح به صيغة JSON"), "[" * 100_000: ("at most 200 levels", "لمستوياتها 200"),
    '{"a":' * 900 + "1" + "}" * 900: ("at most 200 levels", "لمستوياتها 200"),
    "[" * 201 + "]" * 201: ("at most 200 levels", "لمستوياتها 200"),
    '["\\ud800"]': ("half a character", "نصف محرف"), "[1": ("not valid JSON", "JSON صالحًا"),
}  # fmt: skip


@pytest.mark.parametrize("text", TOO_MUCH, ids=lambda text: text[:8])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_json_that_cannot_be_kept_is_refused_where_it_was_typed(sara: Client, text: str, language: str) -> None:
    entry_of = job_in("failed")
    fields = {"task": "jobs.tasks.http_request", "argument-url": "https://x.example", "argument-method": "GET", "priority": "5"}
    fields |= {"max_retries": "3", "when": "now", "queue": "celery", "token": "8f9f8d0a-6c3e-4a57-9a0b-5b2c0f2f4b6e"}
    sara.cookies["django_language"] = language
    for address, given, name, form in (
        ("/admin/jobs/job/add/", ADD, "args", "adminform"), ("/admin/jobs/job/add/", ADD, "kwargs", "adminform"),
        ("/jobs/create/", fields, "argument-headers", "arguments"),
        ("/jobs/dead-letters/reprocess/", {"argument": "seconds"}, "value", "form"),
    ):  # fmt: skip
        answer = sara.post(address, given | {name: text})
        assert answer.status_code == (200 if "admin" in address else 422), address
        found = answer.context[form]
        errors = getattr(found, "form", found).errors[name.removeprefix("argument-")]
        assert [TOO_MUCH[text][language == "ar"] in error for error in errors] == [True], (address, name, errors)
        assert html.escape(text) in answer.content.decode(), "it comes back as it was typed"
    assert [job.pk for job in Job.objects.all()] == [entry_of.pk]


def test_json_at_the_limits_is_kept() -> None:
    deep: Any = ["😀", 10**4_000]
    for _ in range(198):
        deep = [deep]
    assert JSONField().clean(json.dumps({"message": deep})) == {"message": deep}
