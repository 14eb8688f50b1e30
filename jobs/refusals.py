"""Why a verb left a job as it is: stored as a word, read in the language of whoever looks."""

from enum import StrEnum
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.domain.statuses import Status
from jobs.models.job import STATUS_LABELS


class Refusal(StrEnum):
    """The reasons."""

    IS_PENDING = "is pending"
    IS_RUNNING = "is running"
    IS_COMPLETED = "is completed"
    IS_FAILED = "is failed"
    IS_CANCELLED = "is cancelled"
    MISSING = "missing"
    KEY_TAKEN = "key taken"
    FOLLOWED = "followed"
    OPEN_ENTRY = "open entry"
    UNTOLD = "untold"
    REFERRED = "referred"
    NOT_OPEN = "not open"
    NOT_RESOLVED = "not resolved"
    NOT_WAITING = "not waiting"
    ASKED = "asked"
    CHANGED = "changed"
    UNREADABLE = "unreadable"


_TEXTS: Final = {
    Refusal.MISSING: gettext_lazy("There is no such job."),
    Refusal.KEY_TAKEN: gettext_lazy("Another job with the same unique key has not ended."),
    Refusal.FOLLOWED: gettext_lazy("Other jobs follow from it (a link, a chain or a chord)."),
    Refusal.OPEN_ENTRY: gettext_lazy("It has an open dead letter: reprocess or resolve it first."),
    Refusal.UNTOLD: gettext_lazy("No worker has told those who wait for its end yet (a chord, an errback); it can be deleted afterwards."),
    Refusal.REFERRED: gettext_lazy("A row of another table refers to it: delete that one first."),
    Refusal.NOT_OPEN: gettext_lazy("It is not open any more."),
    Refusal.NOT_RESOLVED: gettext_lazy("It is not resolved any more, or its job did not stay failed."),
    Refusal.UNREADABLE: gettext_lazy("Its named arguments cannot be read, so none of them can be replaced."),
    Refusal.CHANGED: gettext_lazy("It went on, or somebody changed it since."),
    Refusal.ASKED: gettext_lazy("It was running: it was asked to stop, and may still complete."),
    Refusal.NOT_WAITING: gettext_lazy("It was not waiting for its turn when it was cancelled."),
}


def of_status(status: str) -> Refusal:
    """The job is in a status that the verb is not for."""
    return Refusal(f"is {status}")


def said(reason: str) -> str:
    """The sentence, in the language of now; what an earlier version stored is a sentence already."""
    if reason not in set(Refusal):
        return reason
    found = Refusal(reason)
    if found in _TEXTS:
        return str(_TEXTS[found])
    return _("It is %(status)s.") % {"status": STATUS_LABELS[Status(found.removeprefix("is "))]}
