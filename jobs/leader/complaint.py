"""What goes wrong again and again is said once."""

import logging


class Complaint:
    """Logs the first line of an error, unless it is what was said last."""

    def __init__(self, logger: logging.Logger, words: str) -> None:
        self.logger, self.words, self.said = logger, words, ""

    def say(self, error: BaseException) -> None:
        """One line at most."""
        text = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if text != self.said:
            self.logger.warning("%s: %s", self.words, text)
        self.said = text
