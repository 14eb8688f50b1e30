"""Times are shown, and read, in the visitor's own zone: the cookie `timezone`, else TIME_ZONE."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from jobs.web import choices


class TimeZoneMiddleware:
    """Activates the zone that the visitor's cookie names, if there is such a zone; brings an account's choices to where it signs in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        zone = choices.find_zone(request.COOKIES.get(choices.ZONE_COOKIE, ""))
        if zone is None:
            timezone.deactivate()
        else:
            timezone.activate(zone)
        try:
            response = self.get_response(request)
        finally:
            timezone.deactivate()
        choices.bring(request, response)
        return response
