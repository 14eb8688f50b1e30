"""What django-axes notes of a wrong password, as its table can keep it."""

from typing import Any, Final

from axes.handlers.database import AxesDatabaseHandler
from django.http import HttpRequest

LONGEST: Final = 255  # characters of its columns


def name_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """The name that somebody gave, cut to the column; no account's name is so long."""
    name = (credentials or request.POST).get("username")
    return name and str(name).replace("\0", "")[:LONGEST]


class Handler(AxesDatabaseHandler):
    """Django's own server lets null characters through in a header, gunicorn does not."""

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        for header in ("axes_user_agent", "axes_http_accept"):
            if request is not None:
                setattr(request, header, getattr(request, header).replace("\0", ""))
        super().user_login_failed(sender, credentials, request, **kwargs)
