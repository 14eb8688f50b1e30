"""How often something is done that has cost much."""

from typing import Final

DEAR: Final = 0.02  # seconds
RARELY: Final = 50  # of so much time one part is spent on it,
LONGEST: Final = 5.0  # seconds; where that would put it off for longer,
SELDOM: Final = 10  # one part of so much


def pause(seconds: float) -> float:
    """Seconds until it is done again, of something that took so many; 0.0 where that was cheap."""
    return 0.0 if seconds <= DEAR else max(min(RARELY * seconds, LONGEST), SELDOM * seconds)
