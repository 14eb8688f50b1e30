"""Read-only queries about dead letters: groups of equal errors, what they share, whether they came back."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Min, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone

from jobs.models import DeadLetterQueue
from jobs.models.dead_letter import Resolution

Entries = QuerySet[DeadLetterQueue, DeadLetterQueue]
HOURS: Final = 24  # of a spark line
SAMPLE: Final = 200  # newest entries of a group that are searched for what they share


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
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


def groups(rows: Entries, limit: int) -> list[ErrorGroup]:
    """The groups of these open entries, the one that failed last first."""
    found = list(
        rows.order_by()
        .values("fingerprint")
        .annotate(count=Count("id"), first=Min("failed_at"), latest=Max("failed_at"), newest=Max("id"))
        .order_by("-newest")[:limit]
    )
    names = [group["fingerprint"] for group in found]
    newest = DeadLetterQueue.objects.select_related("job").only("error_class", "message", "job__task", "fingerprint")
    by_id = newest.in_bulk([group["newest"] for group in found])
    hours, resolved = _hours(names), _resolved(names)
    return [
        ErrorGroup(
            fingerprint=group["fingerprint"],
            task=entry.job.task,
            error_class=entry.error_class,
            message=entry.message,
            count=group["count"],
            first=group["first"],
            latest=group["latest"],
            hours=hours[group["fingerprint"]],
            came_back=(when := resolved.get(group["fingerprint"])) is not None and group["latest"] > when,
        )
        for group in found
        if (entry := by_id.get(group["newest"]))
    ]


def _hours(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Everything that failed counts, whatever became of it."""
    last = timezone.now().replace(minute=0, second=0, microsecond=0)
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * HOURS)
    rows = DeadLetterQueue.objects.filter(fingerprint__in=names, failed_at__gte=last - timedelta(hours=HOURS - 1)).order_by()
    for name, hour, number in rows.values_list("fingerprint", TruncHour("failed_at")).annotate(Count("id")):
        place = HOURS - 1 - round((last - hour).total_seconds() / 3600)
        if 0 <= place < HOURS:
            counts[name][place] = number
    return defaultdict(lambda: (0,) * HOURS, {name: tuple(numbers) for name, numbers in counts.items()})


def _resolved(names: Sequence[str]) -> dict[str, datetime]:
    rows = DeadLetterQueue.objects.filter(fingerprint__in=names, resolution=Resolution.RESOLVED).order_by()
    return dict(rows.values_list("fingerprint").annotate(Max("resolved_at")))


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
