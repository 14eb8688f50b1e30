"""The pages for errors: what to do, what it means for the jobs, and the number under which the log has it."""

import logging
import secrets
import sys

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from jobs.domain.texts import printable

logger = logging.getLogger(__name__)


def unreadable(request: HttpRequest, text: str) -> HttpResponse:
    """400 for what no form of these pages sends; `text` says what to do."""
    return render(request, "jobs/400.html", {"text": text}, status=400)


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for what Django itself refuses; the page needs no host, as that may be what is wrong."""
    return render(None, "400.html", {"host": isinstance(exception, DisallowedHost)}, status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 when PostgreSQL does not answer, else 500; never a word of the error itself."""
    number = secrets.token_hex(4)
    away = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    logger.error("error %s at %s", number, printable(request.path))
    status = 503 if away else 500
    return render(None, "500.html", {"number": number, "away": away, "status": status}, status=status)
