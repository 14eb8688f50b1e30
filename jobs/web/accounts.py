"""Accounts: those that a person may choose from, and how one is read with its rights."""

from typing import Any, Final

from django.contrib.auth import get_backends, get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission, PermissionsMixin
from django.contrib.postgres.expressions import ArraySubquery
from django.core.cache import cache
from django.db.models import OuterRef, Value
from django.db.models.functions import Concat

MOST: Final = 500
_ASKED: Final = "jobs-triagers"
_KEPT: Final = 60  # seconds
RIGHT: Final = "jobs.triage_deadletterqueue"
_DECIDING: Final = {"has_perm", "get_all_permissions", "get_user_permissions", "get_group_permissions"}


def triagers() -> list[str]:
    """The names of the active accounts that may decide about dead letters, MOST at most; where each is asked, a minute old at most."""
    model: Any = get_user_model()
    backends: list[Any] = [backend for backend in get_backends() if hasattr(backend, "has_perm")]
    listing = [backend for backend in backends if _lists(type(backend))]
    if getattr(model, "has_perm", None) is not PermissionsMixin.has_perm:  # the account itself decides, and asks them or not
        listing = []
    field = model.USERNAME_FIELD
    names = {str(name) for each in listing for name in each.with_perm(RIGHT).order_by(field).values_list(field, flat=True)[:MOST]}
    if not listing or len(listing) < len(backends):
        names |= set(cache.get_or_set(_ASKED, lambda: _asked(model), _KEPT) or ())
    return sorted(names, key=str.casefold)[:MOST]


def _asked(model: Any) -> list[str]:
    """Those who say that they may: of the first MOST by name, as a site may have a million and each costs queries."""
    active = {"is_active": True} if any(column.name == "is_active" for column in model._meta.fields) else {}
    accounts = model._default_manager.filter(**active).order_by(model.USERNAME_FIELD)[:MOST]
    return [account.get_username() for account in accounts if account.has_perm(RIGHT)]


def _lists(backend: type) -> bool:
    """Whether the backend names those whom it lets: not one that took the list from its parent, and decides itself."""
    for each in backend.__mro__:
        if "with_perm" in vars(each):
            return True
        if vars(each).keys() & _DECIDING:
            return False
    return False


_statements: Final[dict[str, tuple[str, list[Any]]]] = {}


def _statement(alias: str, user_id: Any) -> tuple[str, list[Any]]:
    """One account with its rights: the same for each request but for the number, and dearer to put together than to run."""
    if alias not in _statements:
        right = Concat("content_type__app_label", Value("."), "codename")
        own, shared = (
            ArraySubquery(Permission.objects.filter(**{way: OuterRef("pk")}).order_by().values(right=right))
            for way in ("user", "group__user")
        )
        rows = get_user_model()._default_manager.using(alias).annotate(own_rights=own, shared_rights=shared).order_by()
        sql, parameters = rows.filter(pk=user_id).query.sql_with_params()
        _statements[alias] = sql, list(parameters[:-1])  # the last one is the number
    sql, others = _statements[alias]
    return sql, [*others, user_id]


class AccountBackend(ModelBackend):
    """Django's own, but an account and its rights are read together: one query for who looks and what he may."""

    def get_user(self, user_id: Any) -> Any:
        """The account, None when there is none or when it is not active."""
        manager = get_user_model()._default_manager
        user: Any = next(iter(manager.raw(*_statement(manager.db, user_id))), None)
        if user is None or not self.user_can_authenticate(user):
            return None
        if not user.is_superuser:  # who has all of them
            user._user_perm_cache, user._group_perm_cache = set(user.own_rights), set(user.shared_rights)
        return user
