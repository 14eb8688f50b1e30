"""Celery's rate limits without messages that wait in a worker's memory: a job that is too early waits in its row until its turn."""

from typing import Final

HORIZON: Final = 5.0  # seconds a turn may be ahead; other workers take what waits longer


class Turns:
    """The turns of one task on this worker. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self.next = 0.0
        self.taken: dict[int, float] = {}  # job: its turn

    def wait(self, job: int, rate: float, now: float) -> float:
        """Seconds until the job may run; 0: now. `rate`: runs a second.

        >>> turns = Turns()
        >>> [turns.wait(1, 2, 10.0), turns.wait(2, 2, 10.0), turns.wait(3, 2, 10.0), turns.wait(2, 2, 10.5), turns.wait(4, 2, 30.0)]
        [0.0, 0.5, 1.0, 0.0, 0.0]
        """
        turn = self.taken.pop(job, None)
        if turn is None:
            turn = max(self.next, now)
            if turn - now > HORIZON:
                return HORIZON
            self.next = turn + 1 / rate
        if turn - now < 0.005:
            return 0.0
        self.taken = {other: at for other, at in self.taken.items() if at > now - HORIZON}  # what others ran or cancelled meanwhile
        self.taken[job] = turn
        return turn - now
