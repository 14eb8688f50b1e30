"""Jobs as a file, read some at a time and sent as they come, however many they are."""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, Final

from django.db.models import IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import StreamingHttpResponse

from jobs import masking
from jobs.domain.moments import aware
from jobs.domain.readable import dumps
from jobs.models import Job
from jobs.models.job import HEAVY
from jobs.web.times import local
from jobs.web.values import DOWNLOADED

CHUNK: Final = 1_000  # rows
ROOM: Final = 4_000_000  # bytes of values as they are stored, compressed where they are long, that are read at once
_STORED: Final = RawSQL(" + ".join(f"coalesce(pg_column_size(jobs_job.{name}), 0)" for name in DOWNLOADED), [], IntegerField())
COLUMNS: Final = (
    "id", "task_id", "name", "task", "state", "queue", "priority", "attempts", "max_retries", "created_by", "created_at", "run_at",
    "started_at", "finished_at", *DOWNLOADED, "last_error",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def stream(rows: QuerySet[Job, Job], kind: str) -> StreamingHttpResponse:
    """The answer for one of FORMATS."""
    write, content_type = FORMATS[kind]
    read = rows.defer(*(name for name in HEAVY if name not in DOWNLOADED)).order_by("-pk")
    answer = StreamingHttpResponse(write(_newest_first(read)), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="jobs-{local():%Y-%m-%d-%H%M}.{kind}"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _newest_first(rows: QuerySet[Job, Job]) -> Iterator[Job]:
    """CHUNK of them at a time, fewer of long ones, by their numbers. A cursor of the server would first write all rows to its disk, and a
    pooler allows none: then the driver takes all of them into memory."""
    left = rows
    while found := list(left[: _fitting(left)]):
        yield from found
        left = rows.filter(pk__lt=found[-1].pk)


def _fitting(rows: QuerySet[Job, Job]) -> int:
    """How many of the first have room in the memory at once, one at least; 0 when there are none."""
    number, taken = 0, 0
    for size in rows.values_list(_STORED, flat=True)[:CHUNK]:
        taken += size
        if taken > ROOM and number:
            return number
        number += 1
    return CHUNK if number else 0


def safe(value: Any) -> Any:
    """A value for a spreadsheet: a text that begins like a formula gets an apostrophe, so that none is computed.

    >>> safe("=1+1"), safe(" @SUM(A1)"), safe("Invoice"), safe(-5)
    ("'=1+1", "' @SUM(A1)", 'Invoice', -5)
    """
    if not isinstance(value, str):
        return value
    value = value.replace("\0", "\ufffd")
    return f"'{value}" if value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA) else value


def values_of(job: Job) -> dict[str, Any]:
    """A job by COLUMNS, times in UTC as ISO 8601, without secrets."""
    found: dict[str, Any] = {name: getattr(job, name) for name in COLUMNS if name != "created_by"}
    found["args"], found["kwargs"] = masking.positional(job.task, job.args), masking.named(job.kwargs)
    found["result"] = masking.named(job.result)
    found["last_error"] = masking.text(job.last_error)
    found["state"] = job.state.value
    found["created_by"] = job.created_by.get_username() if job.created_by else None
    for name in ("created_at", "run_at", "started_at", "finished_at"):
        found[name] = aware(found[name]).astimezone(UTC).isoformat() if found[name] else None
    return {name: found[name] for name in COLUMNS}


def _csv(jobs: Iterator[Job]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(COLUMNS)  # spreadsheets take it for UTF-8
    for job in jobs:
        values = values_of(job)
        for name in DOWNLOADED:
            values[name] = dumps(values[name])
        yield writer.writerow([safe(value) for value in values.values()])


def _json(jobs: Iterator[Job]) -> Iterator[str]:
    before = "[\n"
    for job in jobs:
        yield before + dumps(values_of(job))
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


class _Echo:
    """A file that gives each line back."""

    def write(self, line: str) -> str:
        return line


FORMATS: Final[dict[str, tuple[Callable[[Iterator[Job]], Iterator[str]], str]]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "json": (_json, "application/json"),
}
