"""Options of `enqueue()` and `enqueue_many()` that can be none, do not go together or come in another form."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject
from pydantic import BaseModel

from jobs import enqueue, enqueue_many
from jobs.enqueueing import InvalidJob
from jobs.models import Job
from jobs.tasks import sleep

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "given", [Job, Job(pk=7), User, SimpleNamespace(pk="sara")], ids=["a model", "its row", "the model of accounts", "no key"]
)
def test_what_is_no_account_makes_no_job(given: Any) -> None:
    """The database would refuse it at the commit, and with it all that the caller did."""
    for call in (lambda: enqueue(sleep, args=[0], created_by=given), lambda: enqueue_many(sleep, [((0,), {})], created_by=given)):
        with translation.override("en"), pytest.raises(InvalidJob) as caught:
            call()
        assert caught.value.message_dict == {"created_by": ["This is not an account."]}
    assert not Job.objects.exists()


def test_an_account_may_come_lazily_or_be_stood_for_by_its_key() -> None:
    sara = User.objects.create_user("sara")
    for given in (sara, SimpleLazyObject(lambda: sara), SimpleNamespace(pk=str(sara.pk))):
        assert Job.objects.get(pk=enqueue(sleep, args=[0], created_by=given).pk).created_by == sara


def test_a_delay_beside_a_time_is_refused() -> None:
    given: dict[str, Any] = {"delay": 5, "run_at": timezone.now()}
    for call in (lambda: enqueue(sleep, args=[0], **given), lambda: enqueue_many(sleep, [((0,), {})], **given)):
        with translation.override("en"), pytest.raises(InvalidJob) as caught:
            call()
        assert caught.value.message_dict == {"run_at": ["Give either a delay or a time, not both."]}
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"names": ["a", "b"], "name": "c"}, "names: each job has its own"),
        ({"priorities": [1, 2], "priority": 3}, "priorities: each job has its own"),
        ({"names": ["a"]}, "names: 1 for 2 calls"),
        ({"priorities": [1, 2, 3]}, "priorities: 3 for 2 calls"),
    ],
    ids=["two names", "two priorities", "too few", "too many"],
)
def test_each_of_many_jobs_has_its_own_or_one_for_all(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        enqueue_many(sleep, [((0,), {}), ((0,), {})], **given)
    assert not Job.objects.exists()


def test_an_option_that_is_none_is_named_as_the_caller_wrote_it() -> None:
    given: dict[str, Any] = {"countdown": 5, "eta": None}
    for call in (lambda: enqueue(sleep, args=[0], **given), lambda: enqueue_many(sleep, [], **given)):
        with pytest.raises(TypeError, match=r"^there is no such option: countdown, eta$"):
            call()


class Item(BaseModel):
    """An argument of a task with `pydantic=True`."""

    sku: str
    price: Decimal


@pytest.mark.skipif(not hasattr(celery.Task, "_dump_pydantic_arguments"), reason="this Celery takes no models in a call")
def test_a_model_comes_to_its_task_as_by_delay() -> None:
    name = f"{__name__}.priced"

    def body(item: Item, *more: Any, again: Item | None = None) -> None:
        pass

    task = current_app.task(name=name, lazy=False, shared=False, pydantic=True)(body)
    one, two = Item(sku="a", price=Decimal("1.10")), Item(sku="b", price=Decimal(2))
    try:
        asked = Job.objects.get(task_id=task.delay(one, 5, again=two).id)
        job = enqueue(task, args=[one, 5], kwargs={"again": two})
        (number,) = enqueue_many(task, [((one, 5), {"again": two})])
        with pytest.raises(InvalidJob):
            enqueue(sleep, args=[one])
    finally:
        del current_app.tasks[name]
    assert (
        (job.args, job.kwargs) == (asked.args, asked.kwargs) == ([{"sku": "a", "price": "1.10"}, 5], {"again": {"sku": "b", "price": "2"}})
    )
    assert Job.objects.get(pk=number).args == asked.args


@pytest.mark.parametrize(
    ("option", "said", "field", "told"),
    [
        ("timeout", "x", "timeout", "timeout 'x' is no number of seconds"),
        ("timeout", float("nan"), "timeout", "timeout nan is no number of seconds"),
        ("time_limit", "x", "timeout", "time_limit 'x' is no number of seconds"),
        ("soft_time_limit", "x", "timeout", "soft_time_limit 'x' is no number of seconds"),
        ("soft_time_limit", float("nan"), "timeout", "soft_time_limit nan is no number of seconds"),
        ("priority", "high", "priority", "priority 'high' is no number from 0 to 9 (9 runs first)"),
    ],
)
def test_an_option_of_a_task_that_can_be_none_is_refused_at_its_field(
    option: str, said: Any, field: str, told: str, monkeypatch: pytest.MonkeyPatch, admin_client: Client
) -> None:
    monkeypatch.setattr(sleep, option, said, raising=False)
    monkeypatch.setattr(sleep, "_exec_options", None)  # what Celery has kept of them
    for call in (lambda: enqueue(sleep, args=[0]), lambda: enqueue_many(sleep, [((0,), {})])):
        with pytest.raises(InvalidJob) as caught:
            call()
        assert caught.value.message_dict == {field: [told]}
    assert admin_client.get("/jobs/create/?task=jobs.tasks.sleep").status_code == 200
    assert not Job.objects.exists()
