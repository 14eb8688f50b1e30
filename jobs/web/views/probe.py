"""Addresses for machines that watch the system."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.db import connections
from django.http import HttpRequest, JsonResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from jobs.store import readiness

ANSWER_S: Final = 3.0  # seconds; Redis has two of them
_thread = ThreadPoolExecutor(1, "jobs-readyz")
_lock = threading.Lock()
_asked: Future[list[str]] | None = None


@login_not_required
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when what runs jobs is there (PostgreSQL with all migrations, Redis, a leader), else 503 with the reasons."""
    reasons = _readiness()
    body = {"status": "unavailable" if reasons else "ready", "reasons": reasons}
    return JsonResponse(body, status=503 if reasons else 200, json_dumps_params={"ensure_ascii": False})


def _readiness() -> list[str]:
    """Asked by one thread for all who want to know meanwhile: a server that hangs must not keep the threads that answer everybody else."""
    global _asked
    with _lock:
        if _asked is None or _asked.done():
            _asked = _thread.submit(_ask, translation.get_language())
        asked = _asked
    try:
        return asked.result(ANSWER_S)
    except TimeoutError:
        return [_("PostgreSQL does not answer.")]


def _ask(language: str | None) -> list[str]:
    try:
        with translation.override(language):
            return readiness.reasons()
    finally:
        connections.close_all()
