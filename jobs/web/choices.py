"""What a visitor chooses for himself: language, theme and time zone; kept in cookies, and with the account."""

import zoneinfo
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import check_for_language, get_language

from jobs.models import Preference

THEMES: Final = ("auto", "light", "dark")
THEME_COOKIE: Final = "theme"
ZONE_COOKIE: Final = "timezone"
YEAR: Final = 365 * 24 * 3600  # seconds
LANGUAGES: Final = {"ar": "العربية", "en": "English"}  # those of the pages' texts; a project may call them ar-eg and en-gb


def other_language() -> tuple[str, str] | None:
    """The project's code and the own name of the language to change to from this page; None where it has none."""
    now = (get_language() or "").partition("-")[0]
    for wanted, name in LANGUAGES.items():
        codes = [code for code, _ in settings.LANGUAGES if code.partition("-")[0] == wanted != now]
        if codes:
            return codes[0], name
    return None


def find_zone(name: str) -> zoneinfo.ZoneInfo | None:
    """The zone with this name, or None."""
    return zoneinfo.ZoneInfo(name) if name in zone_names() else None


@cache
def zone_names() -> tuple[str, ...]:
    """All zones that a person may choose, by name."""
    return (*sorted(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/")), "UTC")


def set_cookies(response: HttpResponseBase, *, theme: str = "", timezone: str = "", language: str = "") -> dict[str, str]:
    """Those that make sense, which are returned."""
    kept = {}
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=YEAR, samesite="Lax")
        kept["theme"] = theme
    if find_zone(timezone):
        response.set_cookie(ZONE_COOKIE, timezone, max_age=YEAR, samesite="Lax")
        kept["timezone"] = timezone
    if language and check_for_language(language):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, max_age=YEAR, samesite="Lax")
        kept["language"] = language
    return kept


def remember(request: HttpRequest, **chosen: str) -> None:
    """Keep what was chosen with the account, if there is one."""
    if request.user.is_authenticated and chosen:
        Preference.objects.update_or_create(user_id=request.user.pk, defaults=chosen)


def bring(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set in this browser what the account that has just signed in, by whatever page, chose elsewhere."""
    account = getattr(request, "jobs_signed_in", None)
    if account is not None:
        kept = Preference.objects.filter(user=account).values("theme", "timezone", "language").first()
        if kept is not None:
            set_cookies(response, **kept)


def _note(request: Any, user: Any, **_: Any) -> None:
    if request is not None:  # nobody's browser
        request.jobs_signed_in = user.pk


user_logged_in.connect(_note, dispatch_uid="jobs.web.choices")
