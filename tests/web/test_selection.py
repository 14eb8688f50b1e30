"""Which dead letters an act is for: those of the preview that are still open; what cannot be read selects nothing."""

from typing import Any

import pytest
from django.test import Client

from jobs import dead_letters
from jobs.models import Audit, Batch, DeadLetterQueue
from jobs.web.views import triage
from tests.rows import job_in

pytestmark = pytest.mark.django_db


def failed() -> DeadLetterQueue:
    return DeadLetterQueue.objects.get(job=job_in("failed"))


def preview(client: Client, verb: str, query: str) -> dict[str, Any]:
    """The hidden fields of the preview."""
    answer = client.get(f"/jobs/dead-letters/{verb}/?{query}")
    assert answer.status_code == 200
    chosen = answer.context["chosen"]
    fields: dict[str, Any] = {"until": str(chosen.until)}
    for name, value in chosen.pairs:
        fields.setdefault(name, []).append(value)
    return fields


@pytest.mark.parametrize("how", [{}, {"pace": "10"}, {"trial": "on"}, {"argument": "seconds", "value": "7"}, {"priority": "many"}])
def test_what_somebody_else_decided_meanwhile_is_said_and_begins_nothing(sara: Client, how: dict[str, str]) -> None:
    entry = failed()
    fields = preview(sara, "reprocess", f"group={entry.fingerprint}")
    dead_letters.resolve([entry.id], by="omar")
    for language, text in (("en", "Somebody has decided about all of these meanwhile"), ("ar", "سبقك أحدهم إلى البتّ في هذه السجلات كلها")):
        sara.cookies["django_language"] = language
        for verb, form in (("reprocess", how), ("resolve", {"note": "known"}), ("resolve", {})):
            answer = sara.post(f"/jobs/dead-letters/{verb}/", {**fields, **form}, follow=True)
            assert (answer.status_code, answer.request["PATH_INFO"]) == (200, "/jobs/dead-letters/")
            assert text in answer.content.decode()
    assert not Batch.objects.exists()
    assert Audit.objects.get().actor == "omar"
    entry.refresh_from_db()
    assert (entry.resolution, entry.note) == ("resolved", "")


def test_what_is_decided_while_the_form_is_read_begins_no_empty_batch(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = failed()
    fields = preview(sara, "reprocess", f"group={entry.fingerprint}")
    fits = triage._fits

    def late(*given: Any) -> bool:
        dead_letters.resolve([entry.id], by="omar")
        return fits(*given)

    monkeypatch.setattr(triage, "_fits", late)
    answer = sara.post("/jobs/dead-letters/reprocess/", {**fields, "trial": "on"}, follow=True)
    assert "Somebody has decided about all of these meanwhile" in answer.content.decode()
    assert not Batch.objects.exists()
