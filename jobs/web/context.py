"""What each page of the desk needs beside its own data."""

from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from jobs import __version__
from jobs.store import stats
from jobs.web.choices import THEME_COOKIE, THEMES, zone_names


def desk(request: HttpRequest) -> dict[str, Any]:
    """The visitor's theme and time zone, and the number at “dead letters”; empty for the admin."""
    if request.path.startswith("/admin/"):
        return {}
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return {
        "theme": theme if theme in THEMES else "auto",
        "zone": timezone.get_current_timezone_name(),
        "zones": zone_names,
        "version": __version__,
        "open_dead_letters": lambda: _open_dead_letters(request),
    }


def _open_dead_letters(request: HttpRequest) -> str:
    """As short as it must be there; empty where there are none."""
    if not request.user.is_authenticated:
        return ""
    try:
        number = stats.open_dead_letters()
    except DatabaseError:
        return ""  # an error page must not fail for a number
    if number > stats.NEWEST:
        return f"{stats.NEWEST:,}+"
    return f"{number:,}" if number else ""
