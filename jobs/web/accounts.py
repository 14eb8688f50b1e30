"""The accounts that a person may choose from."""

from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend

MOST: Final = 500


def triagers() -> list[str]:
    """The names of the active accounts that may decide about dead letters, MOST at most."""
    field = get_user_model().USERNAME_FIELD
    rows = ModelBackend().with_perm("jobs.triage_deadletterqueue")
    return list(rows.order_by(field).values_list(field, flat=True)[:MOST])
