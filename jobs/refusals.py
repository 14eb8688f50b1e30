"""Why a verb left a job as it is: stored as a word, read in the language of whoever looks."""

from enum import StrEnum
from typing import Final

from django.utils.translation import ngettext_lazy


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
    Refusal.IS_PENDING: ngettext_lazy("It is pending.", "They are pending.", "number"),
    Refusal.IS_RUNNING: ngettext_lazy("It is running.", "They are running.", "number"),
    Refusal.IS_COMPLETED: ngettext_lazy("It has completed.", "They have completed.", "number"),
    Refusal.IS_FAILED: ngettext_lazy("It has failed.", "They have failed.", "number"),
    Refusal.IS_CANCELLED: ngettext_lazy("It was cancelled.", "They were cancelled.", "number"),
    Refusal.MISSING: ngettext_lazy("It does not exist.", "They do not exist.", "number"),
    Refusal.KEY_TAKEN: ngettext_lazy(
        "Another job with the same unique key has not ended.", "Other jobs with the same unique keys have not ended.", "number"
    ),
    Refusal.FOLLOWED: ngettext_lazy(
        "Other jobs depend on it (a link, a chain or a chord).", "Other jobs depend on them (a link, a chain or a chord).", "number"
    ),
    Refusal.OPEN_ENTRY: ngettext_lazy(
        "It has an open dead-letter entry: reprocess or resolve that first.",
        "They have open dead-letter entries: reprocess or resolve those first.",
        "number",
    ),
    Refusal.UNTOLD: ngettext_lazy(
        "What waits for its end (a chord, an errback) has not been told yet; it can be deleted afterwards.",
        "What waits for their end (a chord, an errback) has not been told yet; they can be deleted afterwards.",
        "number",
    ),
    Refusal.REFERRED: ngettext_lazy(
        "A row of another table refers to it: delete that row first.",
        "Rows of other tables refer to them: delete those rows first.",
        "number",
    ),
    Refusal.NOT_OPEN: ngettext_lazy("It is no longer open.", "They are no longer open.", "number"),
    Refusal.NOT_RESOLVED: ngettext_lazy(
        "It is no longer resolved, or its job is no longer failed.",
        "They are no longer resolved, or their jobs are no longer failed.",
        "number",
    ),
    Refusal.UNREADABLE: ngettext_lazy(
        "Its named arguments cannot be read, so none of them can be replaced.",
        "Their named arguments cannot be read, so none of them can be replaced.",
        "number",
    ),
    Refusal.CHANGED: ngettext_lazy(
        "It has moved on, or somebody has changed it since.", "They have moved on, or somebody has changed them since.", "number"
    ),
    Refusal.ASKED: ngettext_lazy(
        "It was running: it was asked to stop, and may still complete.",
        "They were running: they were asked to stop, and may still complete.",
        "number",
    ),
    Refusal.NOT_WAITING: ngettext_lazy(
        "It was not waiting for its turn when it was cancelled.",
        "They were not waiting for their turn when they were cancelled.",
        "number",
    ),
}


def of_status(status: str) -> Refusal:
    """The job is in a status that the verb is not for."""
    return Refusal(f"is {status}")


def said(reason: str, number: int = 1) -> str:
    """The sentence about `number` jobs or entries, in the language of now; what an earlier version stored is a sentence already."""
    return _TEXTS[Refusal(reason)] % {"number": number} if reason in set(Refusal) else reason
