"""A page with a part that htmx asks for again and again; a reading serves all who look within a second."""

from collections.abc import Callable
from hashlib import sha256
from time import perf_counter
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.crypto import get_random_string
from django.utils.translation import get_language

KEPT: Final = 1.0  # seconds
MOST: Final = 5.0  # seconds
SHARE: Final = 0.02
# What a part may show to one and not to another; a part asks for no other right.
RIGHTS: Final = ("view_job", "add_job", "control_job", "delete_job", "triage_deadletterqueue", "operate_worker", "view_audit")
_TOKEN: Final = get_random_string(40)  # stands in a kept part where each viewer's own token belongs


def render_live(request: HttpRequest, page: str, part: str, context: Callable[[], dict[str, Any]]) -> HttpResponse:
    """The whole page, or only its live part when htmx asks; caches keep the two apart."""
    if request.headers.get("HX-Request"):
        return kept_part(request, part, context)
    response = render(request, page, context())
    patch_vary_headers(response, ["HX-Request"])
    return response


def kept_part(request: HttpRequest, part: str, context: Callable[[], dict[str, Any]]) -> HttpResponse:
    """The live part as it was written less than KEPT ago for anybody with the same address, language, time zone and rights.

    It may name nobody: of the person who looks it knows the rights alone. Its forms get that person's token.
    """
    rights = tuple(request.user.has_perm(f"jobs.{name}") for name in RIGHTS)
    key = _key(part, request.get_full_path(), get_language(), timezone.get_current_timezone_name(), rights)
    text = reading(key, lambda: render_to_string(part, {**context(), "csrf_token": _TOKEN}, request))
    response = HttpResponse(text.replace(_TOKEN, get_token(request)) if _TOKEN in text else text)
    patch_vary_headers(response, ["HX-Request"])
    return response


def reading(key: str, read: Callable[[], Any]) -> Any:
    """What was read less than KEPT ago; longer ago, up to MOST, where reading takes so long that it would be done for more than SHARE
    of the time: a busy system is not kept busy by those who watch it."""
    found = cache.get(key)
    if found is None:
        begun = perf_counter()
        found = read()
        cache.set(key, found, max(KEPT, min((perf_counter() - begun) / SHARE, MOST)))
    return found


class KeptAnswers:
    """Middleware: one who has many pages open is asked once in KEPT who he is; the others get what that page got.

    Only for what htmx asks for by GET, and only with the very same cookies: another session has another answer. Stands before the
    middleware of sessions, and behind what sets headers for every answer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        """The answer, new or kept."""
        if request.method != "GET" or "HX-Request" not in request.headers or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        told = ("Cookie", "Accept-Language", "HX-Target", "HX-Request", "Host")
        key = _key("answer", request.get_full_path(), *(request.headers.get(name, "") for name in told))
        found = cache.get(key)
        if found is not None:
            return HttpResponse(found[0], headers=found[1])
        response = self.get_response(request)
        told_before = all(request.COOKIES.get(name) == cookie.value for name, cookie in response.cookies.items())
        if response.status_code == 200 and not response.streaming and told_before:
            cache.set(key, (response.content, dict(response.headers)), KEPT)
        return response


def _key(*parts: Any) -> str:
    return f"jobs-part-{sha256(repr(parts).encode()).hexdigest()}"
