"""What a bulk action changed and can take back: jobs that nobody did anything to since."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from jobs.conf import configuration
from jobs.domain.statuses import Status
from jobs.models import Audit, Batch, Job
from jobs.models.audit import Verb
from jobs.models.batch import BatchState

TAKES_BACK: Final = "takes back:"  # and the number: a remark of the act that does
ENDED: Final = [BatchState.DONE.value, BatchState.STOPPED.value]
_PIECE: Final = 5_000  # records of the audit that are held at once


def taken_back_by(pk: int) -> list[int]:
    """The acts that took back what this one changed, or do so now; not those that could change nothing."""
    rows = Batch.objects.using(configuration().database).filter(pk__gt=pk, remark=f"{TAKES_BACK}{pk}")
    return list(rows.exclude(done=0, state__in=ENDED).order_by("pk").values_list("pk", flat=True))


def takes_back(batch: Batch) -> int | None:
    """The act that this one takes back; None: it takes back none, or one that is not kept any more."""
    number = batch.remark.removeprefix(TAKES_BACK)
    if number == batch.remark:
        return None
    return Batch.objects.using(configuration().database).filter(pk=int(number)).values_list("pk", flat=True).first()


def changed_back(batch: Batch, alias: str) -> dict[tuple[Verb, tuple[tuple[str, Any], ...]], list[int]]:
    """The verb with its options -> the jobs; only jobs whose newest record in the audit is that of the batch."""
    back: dict[tuple[Verb, tuple[tuple[str, Any], ...]], list[int]] = {}
    for job, before in _its_own(batch, batch.ids[: batch.place], alias):
        if batch.what is Verb.CANCEL:
            if before.get("status") == Status.PENDING:  # it waited; of one that was asked to stop the status stayed
                back.setdefault((Verb.RESTORE, ()), []).append(job)
        elif batch.verb in before:
            back.setdefault((batch.what, ((batch.verb, before[batch.verb]),)), []).append(job)
    return back


def _its_own(batch: Batch, ids: Sequence[int], alias: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Of these jobs those that nobody did anything to since the batch, each with what its record says was before."""
    newest: Any = Audit.objects.using(alias).order_by("job", "-id").distinct("job")
    for first in range(0, len(ids), _PIECE):
        for job, before, by in newest.filter(job__in=ids[first : first + _PIECE]).values_list("job", "before", "batch"):
            if by == batch.pk:
                yield job, before


def untouched(batch: Batch, ids: Sequence[int], alias: str) -> list[int]:
    """Of these jobs of a batch that takes another one back, those that nobody changed since; locked, so that nobody does before it. All of
    them for a batch that takes back none."""
    if not batch.remark.startswith(TAKES_BACK):
        return list(ids)
    list(Job.objects.using(alias).filter(pk__in=ids).order_by("pk").select_for_update().values_list("pk"))
    earlier = takes_back(batch)
    first = None if earlier is None else Batch.objects.using(alias).defer("ids").filter(pk=earlier).first()
    own = set() if first is None else {job for job, _before in _its_own(first, ids, alias)}
    return [id for id in ids if id in own]
