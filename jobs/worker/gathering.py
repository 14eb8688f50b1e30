"""Completions wait a moment for the claims that follow them, unless as many are there already: one transaction instead of two."""

from gevent.event import Event

MOST_S = 0.005  # Redis may be slow, or away; a completion must not hang on it


class Gathering:
    """Open while all slots are taken and the fetch loop waits for one: whoever ends now is followed by a look for messages."""

    def __init__(self) -> None:
        self.open = False
        self._over = Event()

    def begin(self) -> None:
        """The fetch loop waits for a slot, and will look at once when it has one."""
        self.open = True
        self._over.clear()

    def end(self) -> None:
        """It has looked, and claimed what it found."""
        self.open = False
        self._over.set()

    def wait(self) -> None:
        """Until then; MOST_S at most."""
        if self.open:
            self._over.wait(MOST_S)
