"""The process that makes jobs at a steady rate and tells the ledger what was accepted; killed and started again by the runner.

Standard input: the line "stop" ends the making of jobs; cancelling and reprocessing go on until it closes.
"""

import heapq
import importlib
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from tests.chaos import ledger, plan
from tests.chaos.plan import Planned

TICK = 0.05  # seconds
BATCH = 100  # jobs made before anything else is looked at


class Door(Protocol):
    """How jobs get into the system under test. Any method may raise one of `away`: the server does not answer."""

    away: tuple[type[Exception], ...]

    def many(self, jobs: list[Planned]) -> None: ...

    def one(self, job: Planned) -> Any:
        """Returns a handle to cancel it by."""

    def cancel(self, handle: Any) -> bool:
        """Whether it was cancelled or asked to stop."""

    def heal(self) -> list[int]:
        """Reprocess what was buried to be healed; the numbers of those jobs."""

    def reset(self) -> None:
        """Forget broken connections."""


class Producer:
    """Makes the jobs of one incarnation."""

    def __init__(self, door: Door, jobs: Iterator[Planned], rate: float) -> None:
        self.door, self.jobs, self.rate = door, jobs, rate
        self.stopped, self.closed = threading.Event(), threading.Event()
        self.cancels: list[tuple[float, int, int, Any]] = []  # when, tie-breaker, k, handle
        self.order = itertools.count()

    def run(self) -> None:
        """Until the standard input closes."""
        threading.Thread(target=self._listen, daemon=True).start()
        next_heal = due = time.monotonic()
        while not self.closed.is_set():
            now = time.monotonic()
            if not self.stopped.is_set():
                missed = min(max(now - due, 0.0), 2.0)  # what a longer outage kept back is not made up for
                self._make(list(itertools.islice(self.jobs, min(round((missed + TICK) * self.rate), BATCH))))
                due = max(due, now - 2.0) + min(missed + TICK, BATCH / self.rate)
            self._cancel(now)
            if now >= next_heal:
                next_heal = now + 1
                self._try([], self._heal)
            self.closed.wait(max(due - time.monotonic(), 0.005))

    def _listen(self) -> None:
        for line in sys.stdin:
            if line.strip() == "stop":
                self.stopped.set()
        self.closed.set()

    def _make(self, jobs: list[Planned]) -> None:
        bulk = [job for job in jobs if job.way == "many"]
        if bulk:
            self._try(bulk, lambda: self.door.many(bulk))
        for job in jobs:
            if job.way != "many":
                self._try([job], lambda job=job: self._one(job))  # type: ignore[misc]

    def _one(self, job: Planned) -> None:
        handle = self.door.one(job)
        if job.kind in ("drop", "stop"):
            heapq.heappush(self.cancels, (time.monotonic() + (1.5 if job.kind == "drop" else 3), next(self.order), job.k, handle))

    def _try(self, jobs: list[Planned], act: Any) -> None:
        """Tell the ledger what came of it. After an error nobody knows whether it was accepted."""
        try:
            act()
        except self.door.away:
            if jobs:
                ledger.record(*[("unknown", job.k, 0, job.kind) for job in jobs])
            self.door.reset()
            self.closed.wait(0.2)
            return
        if jobs:
            ledger.record(*[("rolled back" if job.way == "rollback" else "accepted", job.k, 0, job.kind) for job in jobs])

    def _cancel(self, now: float) -> None:
        while self.cancels and self.cancels[0][0] <= now:
            _, _, k, handle = heapq.heappop(self.cancels)
            ledger.record(("cancel", k, 0, "asked"))
            try:
                done = self.door.cancel(handle)
            except self.door.away:
                self.door.reset()
                heapq.heappush(self.cancels, (now + 1, next(self.order), k, handle))
                return
            ledger.record(("cancel", k, 0, "done" if done else "refused"))

    def _heal(self) -> None:
        for k in self.door.heal():
            ledger.record(("heal", k, 0, ""))


def main(door: str, seed: int, incarnation: int, rate: float) -> None:
    """`door`: the module that makes one."""
    Producer(importlib.import_module(door).Door(), plan.jobs(seed, incarnation), rate).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
