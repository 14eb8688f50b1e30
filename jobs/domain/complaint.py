"""What goes wrong again and again is said once a minute."""

import logging
import math
import time
from typing import Final

AGAIN: Final = 60.0  # seconds before the same is said again


class Complaint:
    """Logs the first line of an error, unless the same was said lately, or nothing was heard of it `after` seconds ago."""

    def __init__(self, logger: logging.Logger, words: str, level: int = logging.WARNING, *, after: float = 0.0) -> None:
        self.logger, self.words, self.level, self.said, self.at = logger, words, level, "", 0.0
        self.after, self.since = after, math.inf  # since: when it was heard first

    def say(self, error: BaseException, *, now: float | None = None) -> None:
        """One line at most; `now` in monotonic seconds."""
        now = time.monotonic() if now is None else now
        self.since = min(self.since, now)
        if now - self.since < self.after:
            return
        text = first_line(error)
        if text != self.said or now - self.at >= AGAIN:
            self.logger.log(self.level, "%s: %s", self.words, text)
            self.said, self.at = text, now


def first_line(error: BaseException) -> str:
    """What an error says, in short; its class where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
