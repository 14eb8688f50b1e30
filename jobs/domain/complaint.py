"""What goes wrong again and again is said once a minute."""

import logging
import time
from typing import Final

AGAIN: Final = 60.0  # seconds before the same is said again


class Complaint:
    """Logs the first line of an error, unless the same was said lately."""

    def __init__(self, logger: logging.Logger, words: str, level: int = logging.WARNING) -> None:
        self.logger, self.words, self.level, self.said, self.at = logger, words, level, "", 0.0

    def say(self, error: BaseException, *, now: float | None = None) -> None:
        """One line at most; `now` in monotonic seconds."""
        now = time.monotonic() if now is None else now
        text = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if text != self.said or now - self.at >= AGAIN:
            self.logger.log(self.level, "%s: %s", self.words, text)
            self.said, self.at = text, now
