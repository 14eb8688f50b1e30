"""The visitor's language, theme and time zone: kept in cookies, and with the account, which brings them to other browsers."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.i18n import set_language

from jobs.web.addresses import posted_from, safe_target
from jobs.web.choices import remember, set_cookies


@login_not_required
@posted_from("jobs:dashboard")
def preferences(request: HttpRequest) -> HttpResponse:
    """Keep the choices that make sense and go back."""
    response = HttpResponseRedirect(safe_target(request, "/"))
    remember(request, **set_cookies(response, theme=request.POST.get("theme", ""), timezone=request.POST.get("timezone", "")))
    return response


@login_not_required
@posted_from("jobs:dashboard")
def language(request: HttpRequest) -> HttpResponseBase:
    """Django's switch of the language, remembered with the account."""
    response: HttpResponseBase = set_language(request)
    code = request.POST.get("language", "")
    if code in dict(settings.LANGUAGES):  # Django takes any that begins like one of them
        remember(request, language=code)
    return response
