"""Accounts: those that a person may choose from, and how one is read with its rights."""

from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Value
from django.db.models.functions import Concat

MOST: Final = 500


def triagers() -> list[str]:
    """The names of the active accounts that may decide about dead letters, MOST at most."""
    field = get_user_model().USERNAME_FIELD
    rows = ModelBackend().with_perm("jobs.triage_deadletterqueue")
    return list(rows.order_by(field).values_list(field, flat=True)[:MOST])


class AccountBackend(ModelBackend):
    """Django's own, but an account and its rights are read together: one query for who looks and what he may."""

    def get_user(self, user_id: Any) -> Any:
        """The account, None when there is none or when it is not active."""
        right = Concat("content_type__app_label", Value("."), "codename")
        own, shared = (
            ArraySubquery(Permission.objects.filter(**{way: OuterRef("pk")}).order_by().values(right=right))
            for way in ("user", "group__user")
        )
        user: Any = get_user_model()._default_manager.annotate(own_rights=own, shared_rights=shared).filter(pk=user_id).first()
        if user is None or not self.user_can_authenticate(user):
            return None
        if not user.is_superuser:  # who has all of them
            user._user_perm_cache, user._group_perm_cache = set(user.own_rights), set(user.shared_rights)
        return user
