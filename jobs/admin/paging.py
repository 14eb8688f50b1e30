"""Counting for lists that may be long."""

from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.core.paginator import Paginator

MOST: Final = 10_000  # rows counted, and reached page by page; a filter or the search reaches the others


class Over(int):
    """A number that is shown as what it is: the lower bound."""

    def __str__(self) -> str:
        return f"{self:,}+"


class CappedPaginator(Paginator):
    """Counts no further than MOST rows, so that the list of two million jobs opens as fast as that of a hundred."""

    @cached_property
    def count(self) -> int:
        """The number of rows, MOST at most."""
        rows: Any = self.object_list
        found = int(rows[: MOST + 1].count())
        if found <= MOST:
            return found
        return MOST if settings.USE_THOUSAND_SEPARATOR else Over(MOST)  # Django would group the sign as a digit
