"""A page with a part that htmx asks for again and again."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language


def render_live(request: HttpRequest, page: str, part: str, context: dict[str, Any]) -> HttpResponse:
    """The whole page, or only its live part when htmx asks; caches keep the two apart."""
    response = render(request, part if request.headers.get("HX-Request") else page, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def kept_part(request: HttpRequest, part: str, context: Callable[[], dict[str, Any]], seconds: float) -> HttpResponse:
    """The live part as it was written for anybody with the same address, language and time zone less than `seconds` ago.

    Only for parts that say nothing about the person who looks, nor ask for one of their rights.
    """
    parts = (part, request.get_full_path(), get_language(), timezone.get_current_timezone_name())
    key = f"jobs-part-{sha256(repr(parts).encode()).hexdigest()}"
    response = HttpResponse(cache.get_or_set(key, lambda: render_to_string(part, context(), request), seconds))
    patch_vary_headers(response, ["HX-Request"])
    return response
