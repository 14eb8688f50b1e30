"""The types of jobs: what each task is, and how its newest jobs fared."""

import inspect
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs import registry
from jobs.store import types
from jobs.store.types import TypeLine
from jobs.web.access import needs


@needs("view_job")
@require_safe
def type_list(request: HttpRequest) -> HttpResponse:
    """Each registered task, then those that only have jobs."""
    since, lines = types.lines()
    registered = registry.job_types()
    rows = [_row(name, registered.get(name), lines.get(name, TypeLine())) for name in sorted({*registered, *lines})]
    return render(request, "jobs/type/list.html", {"rows": rows, "since": since, "newest": types.NEWEST})


def _row(name: str, task: Any, line: TypeLine) -> dict[str, Any]:
    return {
        "name": name,
        "known": task is not None,
        "about": _about(task),
        "more": _more(task),
        "options": _options(task),
        "line": line,
        "signature": str(registry.signature(task)) if task is not None else "",
    }


def _about(task: Any) -> str:
    """The first line of the task's docstring, translated when it has a translation."""
    text = (getattr(task, "__doc__", "") or "").strip()
    first = text.splitlines()[0] if text else ""
    return _(first) if first else ""


def _more(task: Any) -> str:
    """The rest of the docstring, as it stands in the code."""
    _first, _line, rest = inspect.cleandoc(getattr(task, "__doc__", "") or "").partition("\n")
    return rest.strip()


def _options(task: Any) -> list[tuple[str, Any]]:
    """What the task sets itself, as Celery calls it."""
    names = ("queue", "priority", "max_retries", "timeout", "time_limit", "autoretry_for", "rate_limit")
    found = [(name, getattr(task, name, None)) for name in names]
    plain = [(name, [error.__name__ for error in value] if name == "autoretry_for" and value else value) for name, value in found]
    return [(name, value) for name, value in plain if value not in (None, (), [], "") and (name, value) != ("max_retries", 3)]
