"""The counts of the dashboard, each with a line that says more."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.conf import configuration
from jobs.domain.statuses import State
from jobs.store.clock import reckoned
from jobs.store.counts import Number
from jobs.web.labels import ltr
from jobs.web.times import clock_time, per_minute, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How many jobs are in a state."""

    state: State
    number: Number
    slots: int  # of all workers
    rate: float  # jobs completed per minute
    new: int  # newest failures

    @property
    def note(self) -> str:
        """What is behind the number, in the language and the time zone of the one who reads it."""
        match self.state:
            case State.QUEUED:
                return _("due, not started")
            case State.SCHEDULED | State.RETRYING if self.number.next_at is not None:
                return self._next()
            case State.RUNNING:
                return ngettext("of %(number)d slot", "of %(number)d slots", self.slots) % {"number": self.slots}
            case State.COMPLETED if self.rate:
                return _("%(number)s per minute") % {"number": per_minute(self.rate)}
            case State.FAILED if self.new:
                return _("%(number)s in 10 min") % {"number": ltr(f"+{self.new:,}")}
            case State.COMPLETED | State.CANCELLED:
                return _("kept for %(time)s") % {"time": span(configuration().retention_days * 86_400)}
        return ""

    def _next(self) -> str:
        assert self.number.next_at is not None
        wait = (self.number.next_at - reckoned()).total_seconds()
        if wait < 1:
            return _("due now")
        if wait < 3600:
            return _("next in %(time)s") % {"time": span(wait if wait < 60 else wait // 60 * 60)}
        return _("next at %(time)s") % {"time": clock_time(self.number.next_at)}


def figures(numbers: Sequence[tuple[State, Number]], *, slots: int, rate: float, new: int) -> list[Figure]:
    """One for each state."""
    return [Figure(state=state, number=number, slots=slots, rate=rate, new=new) for state, number in numbers]
