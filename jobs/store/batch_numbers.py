"""The numbers of a bulk action, some at a time and in their order."""

from datetime import datetime
from typing import Any, Final

from jobs.models import Batch

AHEAD: Final = 10_000  # numbers that are read at once: PostgreSQL takes the text of all of them apart each time
ACTS: Final = 4  # of which numbers are kept: 1.6 MB of the leader
_READ: Final = "SELECT (string_to_array(btrim(ids::text, '[] '), ','))[%s:%s]::bigint[] FROM jobs_batch WHERE id = %s"
_ahead: Final[dict[tuple[int, datetime], tuple[int, list[int]]]] = {}  # which act -> the place of the first that was read, and they


def following(cursor: Any, batch: Batch, number: int) -> list[int]:
    """So many of its numbers from its place on, or fewer; none only where there are none, or `number` is 0. They never change."""
    key = batch.pk, batch.created_at  # the number alone is another act's in a database that was restored
    first, read = _ahead.get(key, (0, []))
    if not 0 <= batch.place - first < len(read):
        cursor.execute(_READ, [batch.place + 1, batch.place + AHEAD, batch.pk])
        first, read = batch.place, list(cursor.fetchone()[0])
        if len(_ahead) >= ACTS:
            _ahead.clear()
        _ahead[key] = first, read
    start = batch.place - first
    return read[start : start + number]
