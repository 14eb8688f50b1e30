"""Who may open a page: login is asked for by the middleware, the permission here."""

from collections.abc import Callable

from django.contrib.auth.decorators import permission_required
from django.http import HttpResponseBase

View = Callable[..., HttpResponseBase]


def needs(permission: str) -> Callable[[View], View]:
    """Answer 403 to an account without `jobs.<permission>`."""
    return permission_required(f"jobs.{permission}", raise_exception=True)
