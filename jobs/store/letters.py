"""Read-only queries about dead letters: groups of equal errors, what they share, whether they came back."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Count, Max, Min, QuerySet

from jobs.models import DeadLetterQueue, ErrorGroup
from jobs.models.dead_letter import Resolution

# Everything that failed within the hours counts, whatever became of it.
_GROUPS: Final = """
WITH found AS (SELECT *, sum(part.count) OVER () AS total FROM ({groups}) part ORDER BY newest DESC LIMIT %s)
SELECT f.total, f.fingerprint, j.task, d.error_class, d.message, f.count, f.first, f.latest,
       (SELECT json_object_agg(part.ago, part.number) FROM (
          SELECT extract(epoch FROM date_trunc('hour', statement_timestamp()) - date_trunc('hour', failed_at))::int / 3600 AS ago,
                 count(*) AS number
            FROM jobs_deadletterqueue h WHERE h.fingerprint = f.fingerprint
             AND failed_at >= date_trunc('hour', statement_timestamp()) - make_interval(hours => %s - 1) GROUP BY 1) part
         WHERE part.ago BETWEEN 0 AND %s - 1),
       (SELECT max(resolved_at) FROM jobs_deadletterqueue r WHERE r.fingerprint = f.fingerprint AND r.resolution = 'resolved'),
       g.owner, CASE WHEN g.snoozed_until > statement_timestamp() THEN g.snoozed_until END
  FROM found f JOIN jobs_deadletterqueue d ON d.id = f.newest JOIN jobs_job j ON j.id = d.job_id
  LEFT JOIN jobs_errorgroup g ON g.fingerprint = f.fingerprint
 ORDER BY f.newest DESC"""

Entries = QuerySet[DeadLetterQueue, DeadLetterQueue]
HOURS: Final = 24  # of a spark line
SAMPLE: Final = 200  # newest entries of a group that are searched for what they share


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """Open dead letters with the same error."""

    fingerprint: str
    task: str
    error_class: str
    message: str
    count: int
    first: datetime
    latest: datetime
    hours: tuple[int, ...]  # how many in each of the last HOURS hours, the oldest first
    came_back: bool  # somebody resolved the error before, and it failed again afterwards
    owner: str  # empty: nobody
    snoozed_until: datetime | None  # no notices before that time; None: they go out


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A value that many jobs of a group have for an argument."""

    argument: str
    value: str  # JSON
    count: int
    of: int


def entries(resolution: Resolution = Resolution.OPEN) -> Entries:
    """The entries with this resolution."""
    return DeadLetterQueue.objects.filter(resolution=resolution)


def groups(rows: Entries, limit: int) -> tuple[list[GroupLine], int]:
    """The groups of these open entries, the one that failed last first, and how many entries there are, those of other groups too."""
    found = (
        rows.order_by().values("fingerprint").annotate(count=Count("id"), first=Min("failed_at"), latest=Max("failed_at"), newest=Max("id"))
    )
    try:
        sql, values = found.query.sql_with_params()
    except EmptyResultSet:
        return [], 0
    with connections[found.db].cursor() as cursor:
        cursor.execute(_GROUPS.format(groups=sql), [*values, limit, HOURS, HOURS])
        lines = cursor.fetchall()
    return [_line(*line) for _, *line in lines], int(lines[0][0]) if lines else 0


def _line(
    fingerprint: str, task: str, error_class: str, message: str, count: int, first: datetime, latest: datetime,
    hours: dict[str, int] | None, resolved: datetime | None, owner: str | None, snoozed_until: datetime | None,
) -> GroupLine:  # fmt: skip
    return GroupLine(
        fingerprint=fingerprint, task=task, error_class=error_class, message=message, count=count, first=first, latest=latest,
        hours=tuple((hours or {}).get(str(ago), 0) for ago in range(HOURS - 1, -1, -1)),
        came_back=resolved is not None and latest > resolved, owner=owner or "", snoozed_until=snoozed_until,
    )  # fmt: skip


def arranged(fingerprint: str) -> ErrorGroup:
    """What people arranged for this error; nothing where nobody did."""
    return ErrorGroup.objects.filter(pk=fingerprint).first() or ErrorGroup(fingerprint=fingerprint, owner="")


def shared(rows: Entries, mask: Callable[[Any], Any]) -> list[Shared]:
    """The arguments of the newest entries, each with its most frequent value, when more than one job has it. `mask` hides secrets."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sample = [mask(kwargs) for kwargs in rows.order_by("-id").values_list("job__kwargs", flat=True)[:SAMPLE] if isinstance(kwargs, dict)]
    for kwargs in sample:
        for argument, value in kwargs.items():
            counts[argument][json.dumps(value, ensure_ascii=False)[:300]] += 1
    tops = ((argument, *values.most_common(1)[0]) for argument, values in sorted(counts.items()))
    return [Shared(argument=argument, value=value, count=number, of=len(sample)) for argument, value, number in tops if number > 1]


def arguments(rows: Entries) -> list[str]:
    """The names of the named arguments that the newest entries' jobs have."""
    names: set[str] = set()
    for kwargs in rows.order_by("-id").values_list("job__kwargs", flat=True)[:SAMPLE]:
        names.update(kwargs if isinstance(kwargs, dict) else ())
    return sorted(names)


def tasks(rows: Entries) -> list[Any]:
    """The tasks of these entries, two at most: one, or more than one, is all that matters."""
    return list(rows.order_by("job__task").values_list("job__task", flat=True).distinct()[:2])
