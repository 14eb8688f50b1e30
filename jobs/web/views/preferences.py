"""The visitor's theme and time zone, kept in cookies."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from jobs.web.context import THEMES
from jobs.web.time_zone import COOKIE, find_zone

YEAR = 365 * 24 * 3600  # seconds


@login_not_required
@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Keep the choices that make sense and go back."""
    target = request.POST.get("next", "/")
    safe = url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    response = HttpResponseRedirect(target if safe else "/")
    if (theme := request.POST.get("theme", "")) in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR, samesite="Lax")
    if find_zone(zone := request.POST.get("timezone", "")):
        response.set_cookie(COOKIE, zone, max_age=YEAR, samesite="Lax")
    return response
