"""Priorities of people (9 runs first) and lanes of Redis (lane 0 is served first)."""

from typing import Final

from django.utils.translation import gettext as _

HIGHEST: Final = 9
LOWEST: Final = 0
DEFAULT: Final = 5
LANES: Final = range(10)
FROM_HIGHEST: Final = range(HIGHEST, LOWEST - 1, -1)

# kombu's own way of naming the list of a lane: "queue" for lane 0, else queue + SEPARATOR + lane.
SEPARATOR: Final = "\x06\x16"


def wrong_priority(value: object) -> str:
    """Why no job may have it; "" when one may.

    >>> [bool(wrong_priority(value)) for value in (9, 10, 5.5, True)]
    [False, True, True, True]
    """
    if isinstance(value, int) and not isinstance(value, bool) and LOWEST <= value <= HIGHEST:
        return ""
    return _("The priority is a whole number from 0 to 9; 9 runs first.")


def lane_of(priority: int) -> int:
    """The lane for a priority.

    >>> lane_of(9), lane_of(5), lane_of(0)
    (0, 4, 9)
    """
    return HIGHEST - min(max(priority, LOWEST), HIGHEST)


def priority_of(lane: int) -> int:
    """The priority that a lane serves.

    >>> priority_of(0)
    9
    """
    return HIGHEST - lane


def lane_key(queue: str, lane: int) -> str:
    """The Redis list of a lane, without the key prefix.

    >>> lane_key("celery", 0)
    'celery'
    """
    return f"{queue}{SEPARATOR}{lane}" if lane else queue
