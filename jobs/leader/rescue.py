"""Running rows whose worker is gone, or whose deadline has passed; and jobs that were revoked before they were committed."""

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg2

from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.domain.complaint import Complaint
from jobs.domain.outcomes import Outcome
from jobs.leader.look import LATE, Seen
from jobs.leader.steps import Steps
from jobs.store import deadline, interventions, revoked, transitions
from jobs.store.engine import LOCKED
from jobs.store.transitions import Failure, Run

logger = logging.getLogger(__name__)

APART: Final = 1.0  # seconds between two sightings of a free lock
# Seconds after an own reconnect, or a start of the server, in which nobody is declared dead: live workers take their locks again
# within a fraction of a second (jobs.worker.watch). Longer would keep the jobs of dead workers waiting while the server restarts often.
SETTLE: Final = 3.0
MOST: Final = 500  # rows a round
# Rows that someone has locked wait for the next round: the leader waits for none of them. Others at each round, for some may be refused.
_SOME = f"ORDER BY random() LIMIT {MOST} FOR UPDATE SKIP LOCKED"
_LATE = f"SELECT id, runs FROM jobs_job WHERE status = 'running' AND {LATE} AND id <> ALL(%s) {_SOME}"
_LOST = f"""
SELECT id, runs, task, losses, cancel_requested_at IS NOT NULL FROM jobs_job
 WHERE status = 'running' AND worker = ANY(%s) {_SOME}"""


class Rescue:
    """Looks twice before it takes a run away from a worker."""

    def __init__(self, connection: Any, *, again: bool) -> None:
        self.connection = connection
        self.random = random.Random()
        self.free: dict[int, float] = {}  # worker: when its lock was first seen free
        self.live: dict[int, list[str]] = {}  # worker: its queues; parents only
        self.steps = Steps()
        self.refused = Complaint(logger, "A run cannot be rescued", logging.ERROR)
        self.not_before = time.monotonic() + (SETTLE if again else 0.0)

    def look(self, seen: Seen) -> bool:
        """One round over what was seen just now; True when rows were made due."""
        now = time.monotonic()
        # The workers are still taking their locks again. Less than nothing: the clock was set back, which says nothing of the server.
        young = 0 <= seen.age < SETTLE
        self.live = {id: queues for id, (parent, queues) in seen.workers.items() if parent is None and id in seen.held}
        free = (set(seen.workers) | seen.holders) - seen.held
        self.free = {id: self.free.get(id, now) for id in free}
        dead = [id for id, since in self.free.items() if now - since >= APART and now >= self.not_before and not young]
        with self.connection.cursor() as cursor:
            self._keep_time(cursor, seen)
            if seen.revoked:
                self._revoked(cursor)
            changed = self._lost(cursor, dead) if dead else False
            return (seen.late and self._late(cursor)) or changed

    def _keep_time(self, cursor: Any, seen: Seen) -> None:
        """What runs is not late because the clock was set."""
        self.steps.look(cursor, seen.clock)
        if self.steps.owed:
            left = self._write(cursor, lambda: deadline.move(cursor, self.steps.owed))
            self.steps.owed = self.steps.owed if left is False else left

    def _write(self, cursor: Any, change: Callable[[], Any]) -> Any:
        """One verb in one transaction; what it answers, False when the row is locked: next round."""
        cursor.execute("BEGIN")
        try:
            won = change()
            cursor.execute("COMMIT")
            return won
        except LOCKED:
            cursor.execute("ROLLBACK")
            return False
        except psycopg2.Error as error:
            if self.connection.closed:
                raise
            cursor.execute("ROLLBACK")
            self.refused.say(error)
            return False

    def _lost(self, cursor: Any, dead: list[int]) -> bool:
        failure = Failure(error_class="WorkerLost", message=own_failures.WORKER_DIED, outcome=Outcome.LOST)
        cursor.execute(_LOST, [dead])
        won = 0
        for id, runs, task, losses, cancelled in cursor.fetchall():
            run = Run(id=id, runs=runs)
            if cancelled:
                won += self._write(cursor, lambda run=run: transitions.cancel_running(cursor, run, failure))  # type: ignore[misc]
            elif losses + 1 >= configuration().max_lost:
                if not self._write(cursor, lambda run=run, task=task: transitions.bury(cursor, run, failure, task=task)):  # type: ignore[misc]
                    continue
                won += 1
                logger.critical("Job %s (%s) lost its worker %s times and is buried", id, task, losses + 1)
            else:
                won += self._write(cursor, lambda run=run: transitions.lose(cursor, run, failure))  # type: ignore[misc]
        cursor.execute(
            """DELETE FROM jobs_worker w WHERE id = ANY(%s)
                AND NOT EXISTS (SELECT 1 FROM jobs_job j WHERE j.worker = w.id AND j.status = 'running')""",
            [dead],
        )
        if won:
            logger.warning("Rescued %s jobs of dead workers %s", won, dead)
        return won > 0

    def _revoked(self, cursor: Any) -> None:
        """Jobs that were committed after a revocation that did not see them."""
        oldest, done = revoked.oldest(cursor), []
        for id, task_id in revoked.jobs(cursor):
            found = self._write(cursor, lambda id=id: interventions.revoke(cursor, [id]))  # type: ignore[misc]
            if found:
                logger.warning("Job %s was revoked before it was committed", id)
            if found is not False:
                done.append(task_id)
        self._write(cursor, lambda: revoked.close(cursor, done, oldest))

    def _late(self, cursor: Any) -> bool:
        cursor.execute(_LATE, [[run.id for run in self.steps.owed]])
        won = 0
        for id, runs in cursor.fetchall():
            run = Run(id=id, runs=runs)
            ended = self._write(cursor, lambda run=run: deadline.time_out(cursor, run, rng=self.random))  # type: ignore[misc]
            won += bool(ended)
            if ended and ended.buried:
                logger.critical("Job %s (%s) ran longer than its time limit and is buried", id, ended.task)
        return won > 0
