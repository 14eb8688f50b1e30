"""Options of `enqueue()` and `enqueue_many()` that can be none, do not go together or come in another form."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import translation
from django.utils.functional import SimpleLazyObject

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
