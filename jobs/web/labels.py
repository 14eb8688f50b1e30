"""The words and shapes for what people see."""

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from jobs.domain.statuses import State

STATE_LABELS: Final[dict[State, Promise]] = {
    State.QUEUED: pgettext_lazy("state", "Queued"),
    State.SCHEDULED: pgettext_lazy("state", "Scheduled"),
    State.RETRYING: pgettext_lazy("state", "Retrying"),
    State.REPLACED: pgettext_lazy("state", "Replaced"),
    State.RUNNING: pgettext_lazy("state", "Running"),
    State.COMPLETED: pgettext_lazy("state", "Completed"),
    State.FAILED: pgettext_lazy("state", "Failed"),
    State.CANCELLED: pgettext_lazy("state", "Cancelled"),
}


def ltr(text: str) -> str:
    """A command or a name inside a sentence of any direction: isolated, from left to right."""
    return f"\u2066{text}\u2069"
