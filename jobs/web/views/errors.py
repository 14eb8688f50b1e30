"""The pages for errors: what to do, what it means for the jobs, and the number under which the log has it."""

import logging
import secrets
import sys
from typing import Final

from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from jobs.domain.texts import printable
from jobs.store.collisions import code_of

logger = logging.getLogger(__name__)
_NO_WRITES: Final = ("25006", "53", "58")  # read-only; no room on its disk or in its memory; what the disk says


def unreadable(request: HttpRequest, text: str) -> HttpResponse:
    """400 for what no form of these pages sends; `text` says what to do."""
    return render(request, "jobs/400.html", {"text": text}, status=400)


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for what Django itself refuses; the page needs no host, as that may be what is wrong."""
    return render(None, "400.html", {"host": isinstance(exception, DisallowedHost)}, status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 when PostgreSQL does not answer or takes no writes, else 500; never a word of the error itself."""
    number, error = secrets.token_hex(4), sys.exc_info()[1]
    full = _refuses_writes(error)
    away = not full and isinstance(error, OperationalError | InterfaceError)
    logger.error("error %s at %s", number, printable(request.path))
    status = 503 if away or full else 500
    context = {"number": number, "away": away, "full": full, "status": status, "sent": request.method == "POST"}
    return render(None, "500.html", context, status=status)


def _refuses_writes(error: BaseException | None) -> bool:
    return isinstance(error, DatabaseError) and code_of(error).startswith(_NO_WRITES)
