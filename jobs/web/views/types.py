"""The types of jobs: what each task is, and how its newest jobs fared."""

import inspect
from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs import registry
from jobs.store import types
from jobs.store.types import TypeLine
from jobs.web import signatures
from jobs.web.access import needs

_OPTIONS: Final = (
    "queue", "priority", "max_retries", "timeout", "time_limit", "soft_time_limit", "autoretry_for", "dont_autoretry_for", "throws",
    "retry_kwargs", "retry_backoff", "retry_backoff_max", "retry_jitter", "rate_limit", "ignore_result",
)  # fmt: skip
_USUAL: Final[Sequence[tuple[str, Any]]] = (("max_retries", 3), ("retry_kwargs", {}), ("retry_backoff", False), ("ignore_result", False))


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
        "about": signatures.about(task),
        "more": _more(task),
        "options": _options(task),
        "line": line,
        "signature": signatures.readable(registry.signature(task, noted=False)) if task is not None else "",
    }


def _more(task: Any) -> str:
    """The rest of the docstring, as it stands in the code."""
    _first, _line, rest = inspect.cleandoc(getattr(task, "__doc__", "") or "").partition("\n")
    return rest.strip()


def _options(task: Any) -> list[tuple[str, Any]]:
    """What the task sets itself, as Celery calls it."""
    found = [(name, _plain(getattr(task, name, None))) for name in _OPTIONS]
    return [(name, value) for name, value in found if value not in (None, [], "") and (name, value) not in _USUAL]


def _plain(value: Any) -> Any:
    """Classes of errors by their names."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return value.__name__ if isinstance(value, type) else value
