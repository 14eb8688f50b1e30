"""Addresses that a browser can open: instead of one that takes POST alone, the page that its form stands on."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

View = Callable[..., HttpResponseBase]
READING: Final = ("GET", "HEAD")


def posted_from(page: str) -> Callable[[View], View]:
    """Let the view take POST alone; whoever opens its address, as after a login or a change of the language, is led to `page`."""

    def decorate(view: View) -> View:
        posted = require_POST(view)

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method not in READING:
                return posted(request, *args, **kwargs)
            return HttpResponseRedirect(urlunsplit(("", "", reverse(page, args=args, kwargs=kwargs), request.META["QUERY_STRING"], "")))

        return answer

    return decorate


def page_address(request: HttpRequest) -> str:
    """Where the page that answers can be opened again: the answer to a form where the form was sent from, as far as the browser says."""
    before = request.headers.get("Referer", "")
    if request.method in READING or not _is_here(request, before):
        return request.get_full_path()
    parts = urlsplit(before)
    return urlunsplit(("", "", escape_leading_slashes(parts.path or "/"), parts.query, ""))


def safe_target(request: HttpRequest, default: str) -> str:
    """The address that a form wants to go on with (`next`); the default where it names none, or one elsewhere."""
    target = request.POST.get("next", "")
    return target if _is_here(request, target) else default


def _is_here(request: HttpRequest, address: str) -> bool:
    return url_has_allowed_host_and_scheme(address, allowed_hosts={request.get_host()}, require_https=request.is_secure())
