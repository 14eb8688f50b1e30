"""The visitor's language, theme and time zone: kept in cookies, and with the account, which brings them to other browsers at the login."""

from typing import Any

from django.conf import settings
from django.contrib.auth import views as accounts
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import check_for_language
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from jobs.models import Preference
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
    chosen = {name: request.POST.get(name, "") for name in ("theme", "timezone")}
    _keep(request, **_set_cookies(response, **chosen))
    return response


@login_not_required
def language(request: HttpRequest) -> HttpResponseBase:
    """Django's switch of the language, remembered with the account."""
    response: HttpResponseBase = set_language(request)
    code = request.POST.get("language", "")
    if request.method == "POST" and check_for_language(code):
        _keep(request, language=code)
    return response


class LoginView(accounts.LoginView):
    """Django's own; what the account chose elsewhere is set in this browser."""

    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        kept = Preference.objects.filter(user=form.get_user().pk).values("theme", "timezone", "language").first()
        if kept is not None:
            _set_cookies(response, **kept)
        return response


def _set_cookies(response: HttpResponse, *, theme: str, timezone: str, language: str = "") -> dict[str, str]:
    """Those that make sense, which are returned."""
    kept = {}
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR, samesite="Lax")
        kept["theme"] = theme
    if find_zone(timezone):
        response.set_cookie(COOKIE, timezone, max_age=YEAR, samesite="Lax")
        kept["timezone"] = timezone
    if language and check_for_language(language):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, max_age=YEAR, samesite="Lax")
        kept["language"] = language
    return kept


def _keep(request: HttpRequest, **chosen: str) -> None:
    if request.user.is_authenticated and chosen:
        Preference.objects.update_or_create(user_id=request.user.pk, defaults=chosen)
