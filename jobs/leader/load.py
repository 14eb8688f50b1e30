"""What the leader's loop tells the threads beside it."""

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """What the leader's loop in this process does just now, and what it has seen to be due; a standby sees nothing."""

    leads: bool = False
    crowded: bool = False  # more is due than there is room for
    acts: threading.Event = field(default_factory=threading.Event)  # a bulk action has not ended
    notices: threading.Event = field(default_factory=threading.Event)  # a notice may be due

    def clear(self) -> None:
        """The term has ended."""
        self.leads = self.crowded = False
        self.acts.clear()
        self.notices.clear()


def tell(event: threading.Event, is_due: bool) -> None:
    """Set or clear."""
    if is_due:
        event.set()
    else:
        event.clear()
