"""Pages by key: the number of the last row leads to the next page, however long the table is."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet
from django.http import QueryDict

from jobs.domain.numbers import number_of

SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows, the newest first, and the addresses of their neighbours."""

    rows: list[Any]
    newer: str
    older: str
    until: int | None = None  # the search ended at this number, with rows beyond it that nobody has looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far one page looks when no index leads to its rows: `numbers` at most, all of them lie from `oldest` to `newest`."""

    numbers: int
    oldest: int
    newest: int


def page_of(rows: QuerySet[Any, Any], query: QueryDict, size: int = SIZE, *, reach: Reach | None = None, rare: bool = False) -> Page:
    """The page that `before` or `after` in the address asks for; the first when neither makes sense.

    A page that ended at its reach leads on from there, with rows or without. With `rare` all rows are read and sorted: in the order of
    their numbers PostgreSQL would go through the whole table for a few of them.
    """
    before, after = number_of(query.get("before", "")), number_of(query.get("after", ""))
    key = F("pk") + 0 if rare else F("pk")
    if after is not None:
        return _upwards(rows.order_by(key.asc()), query, size, after, _above(reach, after))
    end = _below(reach, before)
    part = rows if before is None else rows.filter(pk__lt=before)
    found = list((part if end is None else part.filter(pk__gte=end)).order_by(key.desc())[: size + 1])
    shown, full = found[:size], len(found) > size
    end = None if full else end
    older = shown[-1].pk if full else end
    newer = None if before is None else shown[0].pk if shown else before - 1
    return Page(rows=shown, newer=_address(query, "after", newer), older=_address(query, "before", older), until=end)


def _upwards(rows: QuerySet[Any, Any], query: QueryDict, size: int, after: int, end: int | None) -> Page:
    part = rows.filter(pk__gt=after)
    found = list((part if end is None else part.filter(pk__lte=end))[: size + 1])
    shown, full = found[:size][::-1], len(found) > size
    newer = shown[0].pk if full else end
    older = shown[-1].pk if shown else after + 1
    return Page(rows=shown, newer=_address(query, "after", newer), older=_address(query, "before", older))


def _below(reach: Reach | None, before: int | None) -> int | None:
    """The last number to look at on the way down; None: to the end."""
    if reach is None:
        return None
    end = (reach.newest + 1 if before is None else min(before, reach.newest + 1)) - reach.numbers
    return end if end > reach.oldest else None


def _above(reach: Reach | None, after: int) -> int | None:
    """The same on the way up."""
    if reach is None:
        return None
    end = max(after, reach.oldest - 1) + reach.numbers
    return end if end < reach.newest else None


def _address(query: QueryDict, key: str, number: int | None) -> str:
    if number is None:
        return ""
    changed = query.copy()
    for name in ("before", "after"):
        changed.pop(name, None)
    changed[key] = str(number)
    return f"?{changed.urlencode()}"
