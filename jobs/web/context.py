"""What each page of the desk needs beside its own data."""

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from jobs import __version__
from jobs.store import stats
from jobs.web.choices import THEME_COOKIE, THEMES, zone_names


def desk(request: HttpRequest) -> dict[str, Any]:
    """The visitor's theme and time zone, and the number at “dead letters”; an error page of the admin needs them too."""
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return {
        "theme": theme if theme in THEMES else "auto",
        "zone": timezone.get_current_timezone_name(),
        "zones": zone_names,
        "version": __version__,
        "open_dead_letters": lambda: _open_dead_letters(request),
    }


def _open_dead_letters(request: HttpRequest) -> str:
    """As short as it must be there; empty where there are none, and for who may not see them."""
    try:
        number = stats.open_dead_letters() if request.user.has_perm("jobs.view_job") else 0
    except DatabaseError:
        return ""  # an error page must not fail for a number
    if number > stats.NEWEST:
        return f"{stats.NEWEST:,}+"
    return f"{number:,}" if number else ""
