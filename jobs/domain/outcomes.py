"""How a run ends that does not complete."""

from enum import StrEnum


class Outcome(StrEnum):
    """How an attempt ended that did not complete."""

    FAILED = "failed"
    LOST = "lost"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
