"""Who may be chosen to look after an error: also where a project's own backends or accounts say who may what."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client

from jobs import enqueue
from jobs.models import DeadLetterQueue
from jobs.web import accounts, filters
from tests.rows import job_in

pytestmark = pytest.mark.django_db
OURS = "jobs.web.accounts.AccountBackend"


class Roles(BaseBackend):
    """A backend that reads the rights elsewhere, and has no list of accounts."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return user_obj.is_active and user_obj.email.endswith("@ops.example")


class RolesOfTheirOwn(ModelBackend):
    """The same on top of Django's, whose list knows nothing of the roles."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return Roles().has_perm(user_obj, perm) or super().has_perm(user_obj, perm)


class Directory(Roles):
    """A backend that has a list."""

    def with_perm(self, perm: str, is_active: bool = True, include_superusers: bool = True, obj: Any = None) -> Any:
        return get_user_model().objects.filter(email__endswith="@ops.example", is_active=is_active)


class Badge(AbstractBaseUser):
    """An account that decides itself, without Django's tables of rights."""

    username = models.CharField(max_length=150)
    email = models.EmailField()
    is_active = models.BooleanField(default=True)
    people = models.Manager()  # called as the project likes: there is no `objects`
    USERNAME_FIELD = "username"

    class Meta:
        managed = False
        db_table = "auth_user"
        app_label = "tests"

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return self.email.endswith("@ops.example")


@pytest.fixture(autouse=True)
def people() -> None:
    model = get_user_model()
    model.objects.create_superuser("sara", "", "x")
    model.objects.create_user("guest", "guest@example.com", "x")
    model.objects.create_user("Rania", "rania@ops.example", "x")
    model.objects.create_user("gone", "gone@ops.example", "x", is_active=False)
    omar = model.objects.create_user("omar", "", "x")
    omar.user_permissions.add(Permission.objects.get(codename="triage_deadletterqueue"))


@pytest.mark.parametrize("backend", [Roles, RolesOfTheirOwn, Directory])
def test_owners_are_those_whom_the_backends_let(backend: type, client: Client, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [OURS, f"{__name__}.{backend.__name__}"]
    assert accounts.triagers() == ["omar", "Rania", "sara"]
    client.force_login(get_user_model().objects.get(username="Rania"), backend=OURS)
    address = error_page()
    assert '<option value="omar">' in client.get(address).content.decode()
    assert client.post(f"{address}owner/", {"owner": "Rania"}).status_code == 302
    assert client.post(f"{address}owner/", {"owner": "guest"}).status_code == 422


def error_page() -> str:
    return f"/jobs/dead-letters/group/{DeadLetterQueue.objects.get(job=job_in('failed')).fingerprint}/"


def test_who_may_decide_can_take_it_however_many_names_come_before_his(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUTHENTICATION_BACKENDS = [OURS, f"{__name__}.Roles"]
    monkeypatch.setattr(accounts, "MOST", 1)
    client.force_login(get_user_model().objects.get(username="sara"), backend=OURS)
    address = error_page()
    assert '<option value="sara">' in client.get(address).content.decode()
    assert client.post(f"{address}owner/", {"owner": "sara"}).status_code == 302
    assert client.post(f"{address}owner/", {"owner": "Rania"}).status_code == 422  # beyond the list, and not who asks


@pytest.mark.parametrize("backend", [Roles, RolesOfTheirOwn])
def test_accounts_are_not_asked_one_by_one_for_each_page(backend: type, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AUTHENTICATION_BACKENDS = [OURS, f"{__name__}.{backend.__name__}"]
    asked: list[str] = []

    def has_perm(self: Any, user_obj: Any, perm: str, obj: Any = None) -> bool:
        asked.append(user_obj.username)
        return bool(user_obj.email.endswith("@ops.example"))

    monkeypatch.setattr(Roles, "has_perm", has_perm)
    first = accounts.triagers()
    assert first == ["omar", "Rania", "sara"]
    assert asked
    asked.clear()
    assert accounts.triagers() == first
    assert not asked


def test_owners_are_those_who_may_where_accounts_decide_themselves(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    monkeypatch.setattr(accounts, "get_user_model", lambda: Badge)
    assert accounts.triagers() == ["Rania"]


def test_jobs_are_found_by_their_maker_whatever_the_manager_of_accounts_is_called(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(get_user_model().objects.get(username="sara"))
    rania = get_user_model().objects.get(username="Rania")
    job = enqueue("jobs.tasks.sleep", args=[0], created_by=rania)
    enqueue("jobs.tasks.sleep", args=[0])
    monkeypatch.setattr(filters, "get_user_model", lambda: Badge)
    assert [found.pk for found in client.get("/jobs/?creator=Rania").context["page"].rows] == [job.pk]
