"""Times are shown, and read, in the visitor's own zone: the cookie `timezone`, else TIME_ZONE."""

import zoneinfo
from collections.abc import Callable
from functools import cache

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

COOKIE = "timezone"


class TimeZoneMiddleware:
    """Activates the zone that the visitor's cookie names, if there is such a zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        zone = find_zone(request.COOKIES.get(COOKIE, ""))
        if zone is None:
            timezone.deactivate()
        else:
            timezone.activate(zone)
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()


def find_zone(name: str) -> zoneinfo.ZoneInfo | None:
    """The zone with this name, or None."""
    return zoneinfo.ZoneInfo(name) if name in zone_names() else None


@cache
def zone_names() -> tuple[str, ...]:
    """All zones that a person may choose, by name."""
    return (*sorted(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/")), "UTC")
