"""The turns of tasks with a rate limit."""

import doctest
import itertools

from jobs.worker import rate_limits
from jobs.worker.rate_limits import HORIZON, Turns


def test_the_examples_hold() -> None:
    found = doctest.testmod(rate_limits)
    assert (found.attempted > 0, found.failed) == (True, 0)


def test_a_backlog_never_runs_faster_than_its_rate() -> None:
    turns, now, ran = Turns(), 100.0, []
    waiting = dict.fromkeys(range(40), now)  # job: when it is due
    while waiting:
        job, now = min(waiting.items(), key=lambda item: item[1])
        wait = turns.wait(job, 4.0, now)
        assert wait <= HORIZON
        if wait:
            waiting[job] = now + wait
        else:
            ran.append(now)
            del waiting[job]
    assert all(later - earlier >= 0.24 for earlier, later in itertools.pairwise(ran))
    assert ran[-1] - ran[0] < 40 / 4.0 + HORIZON
