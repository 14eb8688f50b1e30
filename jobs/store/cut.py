"""JSON columns of any size as far as people are shown them: the rest of a long one stays in the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Func, QuerySet, TextField

from jobs.models import Job
from jobs.models.json_text import value_of

SHOWN: Final = 100_000  # characters that are read of a column that is longer than its limit
LIMITS: Final = {  # characters
    "args": SHOWN,
    "kwargs": SHOWN,
    "result": SHOWN,
    "progress": SHOWN,
    # What belongs to a job is found in these: chains and groups of thousands.
    "options": 1_000_000,
    "result_meta": 1_000_000,
}


class Beginning(Func):
    """A JSON column as text; of one of more than `limit` characters their number behind a sign that JSON does not begin with, and the
    first SHOWN of them. The text is made once, which takes longest where it is long."""

    template = f"""(SELECT CASE WHEN length(whole) > %(limit)s THEN '#' || length(whole) || ' ' || left(whole, {SHOWN}) ELSE whole END
                      FROM (SELECT %(expressions)s::text AS whole OFFSET 0) part)"""
    output_field = TextField()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The value as far as it was read; `length`: characters of the JSON text that was not read to its end, 0 of any other."""

    value: Any
    length: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether there is more of it."""
        return self.length > 0


def read(text: str | None) -> Part:
    """What a Beginning says."""
    if text is None or not text.startswith("#"):
        return Part(value=None if text is None else value_of(text))
    length, _space, start = text.removeprefix("#").partition(" ")
    return Part(value=value_of(start, is_cut=True), length=int(length))


def cut(rows: QuerySet[Job, Job], names: Iterable[str] = tuple(LIMITS)) -> QuerySet[Job, Job]:
    """The same rows, read without the columns of any size; `part` has the beginnings of those with these `names`."""
    return rows.defer(*LIMITS).annotate(**{f"{name}_beginning": Beginning(name, limit=LIMITS[name]) for name in names})


def part(job: Job, name: str) -> Part:
    """Of a job that `cut` has read its column's beginning; of any other all of it."""
    found = vars(job)
    return read(found[f"{name}_beginning"]) if f"{name}_beginning" in found else Part(value=getattr(job, name))
