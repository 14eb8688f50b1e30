"""What verbs are given by code: names, notes, numbers and priorities of any kind."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils.translation import gettext_lazy, override
from kombu.utils.json import loads

from jobs import control, dead_letters
from jobs.enqueueing import InvalidJob
from jobs.models import Audit, DeadLetterQueue, Job
from jobs.models.audit import Verb
from tests.rows import job_in

pytestmark = pytest.mark.django_db
ODD = "a\0b\ud800"
VERBS: dict[str, Callable[..., Any]] = {
    **{name: getattr(control, name) for name in ("cancel", "reprocess", "restore", "fail_completed", "delete")},
    "change_priority": lambda ids, by: control.change_priority(ids, 3, by),
    "change_queue": lambda ids, by: control.change_queue(ids, "other", by),
    **{f"dead_letters.{name}": getattr(dead_letters, name) for name in ("reprocess", "resolve", "reopen", "notify")},
}


def test_names_and_notes_that_postgresql_cannot_store_are_cleaned() -> None:
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    assert dead_letters.resolve([entry.pk], by=ODD, note=ODD).done == [entry.pk]
    entry.refresh_from_db()
    assert entry.resolved_by == entry.note == "a\ufffdb?"
    job = job_in("failed")
    assert control.reprocess([job.pk], by=ODD, reason=ODD).done == [job.pk]
    assert DeadLetterQueue.objects.get(job=job).resolved_by == "a\ufffdb?"
    assert {*Audit.objects.values_list("actor", "note")} == {("a\ufffdb?", "a\ufffdb?")}


@pytest.mark.parametrize("priority", [10, -1, 5.5, True, "9"])
def test_a_priority_that_no_job_may_have_is_refused_by_every_verb(priority: Any) -> None:
    waiting, failed = job_in("pending"), job_in("failed")
    with pytest.raises(ValueError, match="9"):
        control.change_priority([waiting.pk], priority, "sara")
    with pytest.raises(ValueError, match="9"):
        control.reprocess([failed.pk], "sara", priority=priority)
    assert list(Job.objects.order_by("id").values_list("status", "priority")) == [("pending", 5), ("failed", 5)]


def test_who_asked_first_for_a_cancel_stays_with_the_time_of_it() -> None:
    job = job_in("running")
    control.cancel([job.pk], "anna")
    first = Job.objects.get(pk=job.pk)
    control.cancel([job.pk], "ben")
    second = Job.objects.get(pk=job.pk)
    assert (second.cancel_requested_by, second.cancel_requested_at) == ("anna", first.cancel_requested_at)


@pytest.mark.parametrize("verb", [*VERBS, "foresee"])
def test_a_text_is_no_list_of_numbers(verb: str) -> None:
    """Its digits would be jobs 1 and 2."""
    act = partial(control.foresee, Verb.CANCEL) if verb == "foresee" else lambda ids: VERBS[verb](ids, "sara")
    for ids in ("12", b"12", 12, None, [1.5], [None], [job_in("pending")]):
        with pytest.raises(TypeError, match="ids are a list of numbers"):
            act(ids)
    with pytest.raises(ValueError, match="'x' is none"):
        act(["x"])
    assert act(iter(["12", 13])) is not None  # and the transaction goes on
    assert not Audit.objects.exists()


@pytest.mark.parametrize("verb", VERBS)
def test_who_acts_is_a_name(verb: str) -> None:
    for by in (None, 5, b"sara", User(pk=5, username="sara")):
        with pytest.raises(TypeError, match="by is a text, not"):
            VERBS[verb]([job_in("failed").pk], by)
    assert not Audit.objects.exists()


@pytest.mark.parametrize("given", [None, 5, b"why", ["why"]])
def test_a_reason_is_a_text(given: Any) -> None:
    job = job_in("pending")
    for verb in (control.cancel, control.reprocess, control.restore, control.fail_completed, control.delete):
        with pytest.raises(TypeError, match="reason is a text, not"):
            verb([job.pk], "sara", reason=given)
    with pytest.raises(TypeError, match="reason is a text, not"):
        control.run_again(job, "sara", reason=given, args=[1])
    for verb in (dead_letters.resolve, dead_letters.reopen):
        with pytest.raises(TypeError, match="note is a text, not"):
            verb([1], "sara", note=given)
    assert list(Job.objects.values_list("status", flat=True)) == ["pending"]


def test_a_reason_may_be_translated_later() -> None:
    with override("en"):
        control.cancel([job_in("pending").pk], gettext_lazy("Cancel"), reason=gettext_lazy("Delete"))
    assert list(Audit.objects.values_list("actor", "note")) == [("Cancel", "Delete")]


def test_a_number_may_come_as_a_text_and_more_than_once() -> None:
    job, gone = job_in("pending"), 2**63
    assert control.foresee(Verb.CANCEL, [str(job.pk), job.pk, gone]).left.total() == 1
    report = control.cancel(iter([str(job.pk), job.pk, gone]), "sara")
    assert (report.done, list(report.refused)) == ([job.pk], [gone])
    assert control.foresee(Verb.DELETE, [job.pk, gone]).left.total() == 1
    assert control.delete((id for id in [job.pk, gone]), "sara").done == [job.pk]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        *[(given, "text keys") for given in ([1], "x", 5, {1: 2})],
        *[({"seconds": value}, "cannot be stored as JSON") for value in (float("nan"), object(), "\ud800", 10**5000)],
        ({"seconds": "x" * 300_000}, "JOBS_MAX_ARGUMENT_BYTES"),
    ],
    ids=["a list", "a text", "a number", "keys", "not a number", "an object", "half a character", "digits", "size"],
)
def test_arguments_that_no_row_can_have_replace_none(given: Any, told: str) -> None:
    job = job_in("failed")
    entry = DeadLetterQueue.objects.get(job=job)
    for act in (partial(control.reprocess, [job.pk]), partial(dead_letters.reprocess, [entry.pk])):
        with override("en"), pytest.raises(InvalidJob, match=told):
            act("sara", arguments=given)
    assert Job.objects.get().status == "failed"


def test_arguments_are_replaced_by_values_as_enqueue_takes_them() -> None:
    job = job_in("failed")
    values = {"day": date(2030, 1, 2), "price": Decimal("1.10")}
    control.reprocess([job.pk], "sara", arguments=values)
    assert loads(json.dumps(Job.objects.get().kwargs)) == job.kwargs | values


def test_an_iterator_is_read_once_however_often_a_verb_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    job, applied, tried = job_in("failed"), control._applied, []

    def refused_once(*given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise IntegrityError("a job with the same unique key was accepted in this very moment")
        return applied(*given)

    monkeypatch.setattr(control, "_applied", refused_once)
    assert control.reprocess(iter([job.pk]), "sara").done == [job.pk]
    assert len(tried) == 2
