"""A page with a part that htmx asks for again and again; a reading serves all who look within a second."""

import functools
import threading
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
from django.utils.crypto import salted_hmac
from django.utils.translation import get_language

KEPT: Final = 1.0  # seconds
KNOWN: Final = 10.0  # seconds: of four requests of a page that is open, one asks who looks
MOST: Final = 5.0  # seconds
SHARE: Final = 0.01
TURN: Final = 1.0  # seconds that one waits for another who reads the same
OF_ONE_ANSWER: Final = ("Content-Length", "Content-Encoding", "ETag")  # kept is the text, which another middleware may have compressed
_TURNS: Final = [threading.RLock() for _ in range(64)]
# What a part may show to one and not to another; a part asks for no other right.
RIGHTS: Final = ("view_job", "add_job", "control_job", "delete_job", "triage_deadletterqueue", "operate_worker", "view_audit")


def is_live(request: HttpRequest) -> bool:
    """Whether the page asks for its live part again: whoever reads it may have stopped that."""
    return request.GET.get("live") != "off"


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
    sees = (get_language() or "", timezone.get_current_timezone_name(), rights)

    def written() -> tuple[str, str]:
        text = render_to_string("jobs/_plain.html", {**context(), "part": part, "csrf_token": place_of_token()}, request)
        return text, f'"{sha256(text.encode()).hexdigest()}"'

    response = KeptPart(request, *reading(_part_key(request, sees), written), sees=sees, token=get_token(request))
    patch_vary_headers(response, ["HX-Request"])
    return response


@functools.cache
def place_of_token() -> str:
    """Stands in a kept part where each viewer's own token belongs: the same in each process, since they may share what is kept."""
    return salted_hmac("jobs.web.live", "token").hexdigest()


class KeptPart(HttpResponse):
    """A live part, with all that it depends on of the one who looks; empty (204) for one who has this very text already."""

    def __init__(
        self, request: HttpRequest, text: str, etag: str, *, sees: tuple[Any, ...], token: str, headers: dict[str, str] | None = None
    ) -> None:
        same = request.headers.get("If-None-Match", "").removeprefix("W/") == etag  # what compresses an answer makes its tag a weak one
        content = "" if same else text.replace(place_of_token(), token)
        told = {"Content-Language": sees[0], "Time-Zone": sees[1]}  # the page may be of another language or zone by now
        super().__init__(content, status=204 if same else 200, headers={**(headers or {}), **told, "ETag": etag})
        if not same:
            self.headers["Content-Length"] = str(len(self.content))
        self.sees, self.token = sees, token


def reading(key: str, read: Callable[[], Any]) -> Any:
    """What was read less than KEPT ago; longer ago, up to MOST, where reading takes so long that it would be done for more than SHARE
    of the time: a busy system is not kept busy by those who watch it. One reads, others of this process wait for that."""
    found = cache.get(key)
    if found is not None:
        return found
    turn = _TURNS[hash(key) % len(_TURNS)]
    mine = turn.acquire(timeout=TURN)
    try:
        found = cache.get(key)
        if found is None:
            begun = perf_counter()
            found = read()
            cache.set(key, found, max(KEPT, min((perf_counter() - begun) / SHARE, MOST)))
        return found
    finally:
        if mine:
            turn.release()


class KeptAnswers:
    """Middleware: who looks is asked once in KNOWN; until then he gets kept parts without a question to the database.

    Only for what htmx asks for by GET, and only with the very same cookies: another session has another answer. So a right that was
    taken away, or a session that was ended, is felt KNOWN later at most, and only in live parts. Stands before all others: the headers
    that they set are kept too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        """The answer, new or kept."""
        if request.method != "GET" or "HX-Request" not in request.headers or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        key = _key("viewer", request.scheme, *(request.headers.get(name, "") for name in ("Cookie", "Accept-Language", "Host")))
        viewer = cache.get(key)
        if viewer is not None:
            sees, token, headers = viewer
            kept = cache.get(_part_key(request, sees))
            if kept is not None:
                return KeptPart(request, *kept, sees=sees, token=token, headers=headers)
        response = self.get_response(request)
        told_before = all(request.COOKIES.get(name) == cookie.value for name, cookie in response.cookies.items())
        if viewer is None and isinstance(response, KeptPart) and told_before:
            headers = {name: value for name, value in response.headers.items() if name not in OF_ONE_ANSWER}
            cache.set(key, (response.sees, response.token, headers), KNOWN)
        return response


def _part_key(request: HttpRequest, sees: tuple[Any, ...]) -> str:
    """A page asks for its parts by HX-Target."""
    return _key("part", request.get_full_path(), request.headers.get("HX-Target", ""), sees)


def _key(*parts: Any) -> str:
    return f"jobs-{sha256(repr(parts).encode()).hexdigest()}"
