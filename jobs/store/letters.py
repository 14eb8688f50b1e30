"""Read-only queries about dead letters: groups of equal errors, what they share, whether they came back."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.functions import Now

from jobs.domain.readable import dumps, encodable
from jobs.models import DeadLetterQueue, ErrorGroup, Job
from jobs.models.dead_letter import Resolution
from jobs.store.cut import SHOWN, Beginning, read

# Everything that failed within the hours counts, whatever became of it.
_GROUPS: Final = """
WITH part AS ({groups}),
     whole AS (SELECT sum(count) AS total, count(*) AS kinds FROM part),
     top AS (SELECT fingerprint, count FROM part ORDER BY count DESC, newest DESC LIMIT 1),
     found AS (SELECT * FROM part f ORDER BY {order} LIMIT %s OFFSET %s)
SELECT w.total, w.kinds, t.count, t.fingerprint, f.fingerprint, j.task, d.error_class, d.message, f.count, f.first, f.latest,
       (SELECT json_object_agg(part.ago, part.number) FROM (
          SELECT extract(epoch FROM date_bin('1 hour', statement_timestamp(), 'epoch') - at)::int / 3600 AS ago, number
            FROM (SELECT date_bin('1 hour', failed_at, 'epoch') AS at, count(*) AS number
                    FROM jobs_deadletterqueue d WHERE d.fingerprint = f.fingerprint
                     AND failed_at >= date_bin('1 hour', statement_timestamp(), 'epoch') - make_interval(hours => %s - 1)
                   GROUP BY 1) h) part
         WHERE part.ago BETWEEN 0 AND %s - 1),
       r.resolved_at, r.resolved_by, r.note,
       g.owner, CASE WHEN g.snoozed_until > statement_timestamp() THEN g.snoozed_until END
  FROM found f CROSS JOIN whole w CROSS JOIN top t JOIN jobs_deadletterqueue d ON d.id = f.newest JOIN jobs_job j ON j.id = d.job_id
  LEFT JOIN jobs_errorgroup g ON g.fingerprint = f.fingerprint
  LEFT JOIN LATERAL (SELECT resolved_at, resolved_by, note FROM jobs_deadletterqueue c
                      WHERE c.fingerprint = f.fingerprint AND c.resolution = 'resolved' AND c.resolved_at IS NOT NULL
                      ORDER BY c.resolved_at DESC LIMIT 1) r ON true
 ORDER BY {order}"""
_ORDERS: Final = {"newest": "f.newest DESC", "most": "f.count DESC, f.newest DESC"}
# Each part is read from the index of resolutions, and ends where nobody needs to know it exactly.
_NUMBERS: Final = """
SELECT r.resolution, (SELECT count(*) FROM (SELECT 1 FROM jobs_deadletterqueue WHERE resolution = r.resolution
                                                   ORDER BY id DESC LIMIT %s) part)
  FROM unnest(%s::text[]) AS r(resolution)"""

Entries = QuerySet[DeadLetterQueue, DeadLetterQueue]
HOURS: Final = 24  # of a spark line
MOST: Final = 10_000  # entries that are counted for a tab
ASKED: Final = 2_000  # newest entries that are asked for their jobs' tasks
_KWARGS: Final = Beginning("job__kwargs", limit=SHOWN)  # many rows are read, and each may be long
SAMPLE: Final = 200  # newest entries of a group that are searched for what they share


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """Dead letters with the same error and one resolution."""

    fingerprint: str
    task: str
    error_class: str
    message: str
    count: int
    first: datetime
    latest: datetime
    hours: tuple[int, ...]  # how many in each of the last hours, the oldest first
    came_back: bool  # somebody resolved the error before, and it failed again afterwards
    resolved_at: datetime | None  # when somebody resolved it last, who, and what he wrote
    resolved_by: str
    note: str
    owner: str  # empty: nobody
    snoozed_until: datetime | None  # no notices before that time; None: they go out


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Some groups; of all groups: `total` entries in `kinds` groups, the largest of which, `top`, has `most`."""

    lines: tuple[GroupLine, ...] = ()
    total: int = 0
    kinds: int = 0
    most: int = 0
    top: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A value that many jobs of a group have for an argument."""

    argument: str
    value: str  # JSON
    count: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many entries there are; `new`: of these failed lately."""

    total: int
    new: int


def entries(resolution: Resolution = Resolution.OPEN) -> Entries:
    """The entries with this resolution."""
    return DeadLetterQueue.objects.filter(resolution=resolution)


def groups(rows: Entries, limit: int, hours: int = HOURS, *, start: int = 0, order: str = "newest") -> Groups:
    """The groups of these entries, the one that failed last first, or the largest with the order "most": `limit` of them behind the first
    `start`, each with so many `hours` of its spark line. No lines, and no numbers, where there are no more."""
    found = (
        rows.order_by().values("fingerprint").annotate(count=Count("id"), first=Min("failed_at"), latest=Max("failed_at"), newest=Max("id"))
    )
    try:
        sql, values = found.query.sql_with_params()
    except EmptyResultSet:
        return Groups()
    with connections[found.db].cursor() as cursor:
        cursor.execute(_GROUPS.format(groups=sql, order=_ORDERS[order]), [*values, limit, start, hours, hours])
        lines = cursor.fetchall()
    if not lines:
        return Groups()
    total, kinds, most = map(int, lines[0][:3])
    return Groups(lines=tuple(_line(hours, *line[4:]) for line in lines), total=total, kinds=kinds, most=most, top=lines[0][3])


def numbers() -> dict[str, int]:
    """How many entries have each resolution; MOST + 1 stands for any number above MOST."""
    with connections[DeadLetterQueue.objects.db].cursor() as cursor:
        cursor.execute(_NUMBERS, [MOST + 1, [item.value for item in Resolution]])
        return dict(cursor.fetchall())


def _line(length: int, *found: Any) -> GroupLine:
    fingerprint, task, error_class, message, count, first, latest, hours, resolved_at, resolved_by, note, owner, snoozed_until = found
    return GroupLine(
        fingerprint=fingerprint, task=task, error_class=error_class, message=message, count=count, first=first, latest=latest,
        hours=tuple((hours or {}).get(str(ago), 0) for ago in range(length - 1, -1, -1)),
        came_back=resolved_at is not None and latest > resolved_at, resolved_at=resolved_at, resolved_by=resolved_by or "",
        note=note or "", owner=owner or "", snoozed_until=snoozed_until,
    )  # fmt: skip


def arranged(fingerprint: str) -> ErrorGroup:
    """What people arranged for this error; nothing where nobody did."""
    return ErrorGroup.objects.filter(pk=fingerprint).first() or ErrorGroup(fingerprint=fingerprint, owner="")


def shared(rows: Entries, mask: Callable[[str, Any], Any]) -> list[Shared]:
    """The arguments of the newest entries' jobs, each with its most frequent value, when more than one job has it. `mask` hides secrets of
    an argument, by its name and value; a value that only its secret tells from others is left out."""
    newest = dict(rows.order_by("-id").values_list("job_id", _KWARGS)[:SAMPLE])
    jobs = [part.value for part in map(read, newest.values()) if isinstance(part.value, dict) and not part.is_cut]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    values: dict[str, Any] = {}
    for kwargs in jobs:
        for argument, value in kwargs.items():
            key = sha256(dumps(value).encode()).hexdigest()  # as they are: hidden, different secrets would be alike
            counts[argument][key] += 1
            values[key] = value
    found = []
    for argument, keys in sorted(counts.items()):
        [(top, number)] = keys.most_common(1)
        shown = {key: dumps(mask(argument, values[key])) for key in keys} if number > 1 else {}
        if list(shown.values()).count(shown.get(top, "")) == 1:
            found.append(Shared(argument=encodable(argument), value=shown[top][:300], count=number, of=len(jobs)))
    return found


def size(rows: Entries, seconds: int) -> Size:
    """How many these are, and how many of them failed within the last `seconds`."""
    since = Now() - timedelta(seconds=seconds)
    return Size(**rows.aggregate(total=Count("id"), new=Count("id", filter=Q(failed_at__gte=since))))


def arguments(rows: Entries) -> list[str]:
    """The names of the named arguments that the newest entries' jobs have."""
    names: set[str] = set()
    for text in _jobs(rows, SAMPLE).values_list(Beginning("kwargs", limit=SHOWN), flat=True):
        kwargs = read(text).value
        names.update(map(encodable, kwargs) if isinstance(kwargs, dict) else ())
    return sorted(names)


def tasks(rows: Entries) -> list[Any]:
    """The tasks of the newest ASKED entries, two at most: one, or more than one, is all that matters."""
    return sorted(set(_jobs(rows, ASKED).values_list("task", flat=True)))[:2]


def _jobs(rows: Entries, number: int) -> QuerySet[Job, Job]:
    """The jobs of the newest entries, read apart: PostgreSQL may join those of all entries before it takes these."""
    return Job.objects.filter(pk__in=list(rows.order_by("-id").values_list("job_id", flat=True)[:number])).order_by()
