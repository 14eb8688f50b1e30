"""How a run ends that does not complete."""

from enum import StrEnum
from typing import Final

KEPT: Final = 100  # attempts of a job whose records stay, besides the first


class Outcome(StrEnum):
    """How an attempt ended that did not complete."""

    FAILED = "failed"
    LOST = "lost"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
