"""What people arrange for errors: who looks after one, and until when its notices are not wanted. `groups` are fingerprints."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import masking
from jobs.conf import configuration
from jobs.domain.actors import Actor, actor_of
from jobs.domain.moments import aware
from jobs.models import DeadLetterQueue, ErrorGroup
from jobs.models.audit import Verb
from jobs.models.job import ClockTimestamp
from jobs.store import audit, clock, collisions

LONGEST: Final = 30  # days of a snooze: an error that nobody hears of any more is forgotten
NAME_LIMIT: Final = 200


def own(groups: Sequence[str], owner: str, by: str | Actor) -> list[str]:
    """Let this account look after the errors, or nobody with an empty name; the groups that were changed. Raises ValueError."""
    name = owner.strip()
    if "\0" in name or len(name) > NAME_LIMIT:
        raise ValueError(_("There is no such account."))

    def change(group: ErrorGroup) -> tuple[dict[str, Any], dict[str, Any]]:
        before, group.owner = group.owner, name
        return {"owner": before}, {"owner": name}

    return _arrange(Verb.OWN, groups, by, change)


def snooze(groups: Sequence[str], until: datetime, by: str | Actor) -> list[str]:
    """No notice of these errors before `until`; the groups that were changed. What gathers until then is in one mail.

    Raises ValueError for a time that has passed or lies more than LONGEST days ahead.
    """
    now, until = clock.now(), aware(until)
    if until <= now:
        raise ValueError(_("This time is in the past."))
    if until > now + timedelta(days=LONGEST):
        raise ValueError(
            ngettext("A snooze lasts %(days)d day at most.", "A snooze lasts %(days)d days at most.", LONGEST) % {"days": LONGEST}
        )
    return _arrange(Verb.SNOOZE, groups, by, lambda group: _until(group, until))


def wake(groups: Sequence[str], by: str | Actor) -> list[str]:
    """End the snooze of these errors: what has gathered goes out now; the groups that were snoozed."""
    return _arrange(Verb.WAKE, groups, by, lambda group: _until(group, None))


def _until(group: ErrorGroup, until: datetime | None) -> tuple[dict[str, Any], dict[str, Any]]:
    before, group.snoozed_until = group.snoozed_until, until
    if before is not None:  # what waits for the old time is looked at again; the leader defers it to the new one
        waiting = DeadLetterQueue.objects.using(configuration().database).filter(
            fingerprint=group.pk, resolution="open", notified_at=None, notify_after=before, notify_asked=False
        )
        waiting.update(notify_after=ClockTimestamp())
    if before is not None and aware(before) <= clock.now():
        before = None  # it had ended
    return {"snoozed until": _text(before)}, {"snoozed until": _text(until)}


def _text(moment: datetime | None) -> str | None:
    return aware(moment).isoformat(timespec="seconds") if moment else None


@collisions.made_again
def _arrange(
    verb: Verb, groups: Sequence[str], by: str | Actor, change: Callable[[ErrorGroup], tuple[dict[str, Any], dict[str, Any]]]
) -> list[str]:
    """Change and record in one transaction; only groups that have dead letters, in the order of their names."""
    alias = configuration().database
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        names = _errors(groups, alias)
        ErrorGroup.objects.using(alias).bulk_create([ErrorGroup(fingerprint=name) for name in sorted(names)], ignore_conflicts=True)
        records = []
        for group in ErrorGroup.objects.using(alias).select_for_update().filter(pk__in=names).order_by("pk"):
            before, after = change(group)
            if before != after:
                group.save(using=alias)
                records.append((group.pk, names[group.pk], before, after))
        audit.arranged(cursor, actor_of(by), verb, records)
    return [record[0] for record in records]


def _errors(groups: Sequence[str], alias: str) -> dict[str, str]:
    """What the newest entry of each group says."""
    rows = DeadLetterQueue.objects.using(alias).filter(fingerprint__in=list(groups)).order_by("fingerprint", "-id").distinct("fingerprint")
    return {
        row.fingerprint: masking.text(f"{row.error_class}: {next(iter(row.message.splitlines()), '')}") for row in rows.defer("traceback")
    }
