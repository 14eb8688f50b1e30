"""Sessions of the pages: whoever logs in takes away those that have ended, or each login of the last years would have its row."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver


@receiver(user_logged_in, dispatch_uid="expired sessions")
def drop_expired(request: Any, **_: Any) -> None:
    """One indexed DELETE, nearly always of few rows."""
    store = getattr(request, "session", None)
    if store is not None:
        store.clear_expired()
