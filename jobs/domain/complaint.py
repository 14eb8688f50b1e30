"""What goes wrong again and again is said once a minute."""

import logging
import math
import re
import time
from typing import Final

AGAIN: Final = 60.0  # seconds before the same is said again
KEPT: Final = 8  # troubles that may take turns


class Complaint:
    """Logs the first line of an error, unless the same was said lately, or nothing was heard of it `after` seconds ago.

    The same is what differs in numbers alone (of a file, a session, a port), unless they are what it is about (`exact`).
    """

    def __init__(
        self, logger: logging.Logger, words: str, level: int = logging.WARNING, *, after: float = 0.0, exact: bool = False
    ) -> None:
        self.logger, self.words, self.level, self.exact = logger, words, level, exact
        self.after, self.since = after, math.inf  # since: when it was heard first
        self.times: dict[str, float] = {}  # what was said when, the latest last

    def say(self, error: BaseException, *, now: float | None = None) -> None:
        """One line at most; `now` in monotonic seconds."""
        now = time.monotonic() if now is None else now
        self.since = min(self.since, now)
        if now - self.since < self.after:
            return
        text = first_line(error)
        same = text if self.exact else re.sub("[0-9]+", "", text)
        if now - self.times.get(same, -math.inf) >= AGAIN:
            self.logger.log(self.level, "%s: %s", self.words, text)
            self.times.pop(same, None)
            self.times[same] = now
            if len(self.times) > KEPT:
                self.times.pop(next(iter(tuple(self.times))), None)  # other threads say things too


def first_line(error: BaseException) -> str:
    """What an error says, in short; its class where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
