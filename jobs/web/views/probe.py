"""Addresses for machines that watch the system."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from jobs.store import stats


@login_not_required
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when jobs can run, else 503 with the reasons."""
    reasons = stats.readiness()
    body = {"status": "unavailable" if reasons else "ready", "reasons": reasons}
    return JsonResponse(body, status=503 if reasons else 200, json_dumps_params={"ensure_ascii": False})
