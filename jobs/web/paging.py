"""Pages by key: the number of the last row leads to the next page, however long the table is."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet
from django.http import QueryDict

SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows, the newest first, and the addresses of their neighbours."""

    rows: list[Any]
    newer: str
    older: str


def page_of(rows: QuerySet[Any, Any], query: QueryDict, size: int = SIZE) -> Page:
    """The page that `before` or `after` in the address asks for; the first when neither makes sense."""
    before, after = _number(query.get("before")), _number(query.get("after"))
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        shown, more_new, more_old = found[:size][::-1], len(found) > size, True
    else:
        part = rows if before is None else rows.filter(pk__lt=before)
        found = list(part.order_by("-pk")[: size + 1])
        shown, more_new, more_old = found[:size], before is not None, len(found) > size
    return Page(
        rows=shown,
        newer=_address(query, "after", shown[0]) if shown and more_new else "",
        older=_address(query, "before", shown[-1]) if shown and more_old else "",
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _address(query: QueryDict, key: str, row: Model) -> str:
    changed = query.copy()
    for name in ("before", "after"):
        changed.pop(name, None)
    changed[key] = str(row.pk)
    return f"?{changed.urlencode()}"
