"""The engine of a gevent worker: claims and completions that gather during one round trip leave together in the next.

There is no timer: a lone job is sent at once. A caller gets its answer after the commit. Completions are written before the
claims of the same batch and with the same timestamp, so PostgreSQL never shows more running jobs than there are slots.
"""

import logging
import os
from collections.abc import Callable
from typing import Any

import gevent
import psycopg2
from gevent.event import AsyncResult, Event

from jobs.store import transitions
from jobs.store.canvas import Part
from jobs.store.engine import connect, is_lost, is_transient
from jobs.store.tell import tell
from jobs.store.transitions import Run
from jobs.worker.registration import Registration

logger = logging.getLogger("jobs.worker")
PAUSE_S = 0.25
# A generic plan, and only index scans: a plan made while the table was empty must not stay.
SESSION = """SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
             SET enable_mergejoin = off; SET jit = off; SET lock_timeout = '200ms'"""
# $10: this batch was sent before and nobody knows whether it was committed; then a row with our own mark counts as won.
FLUSH = f"""PREPARE jobs_flush (bigint[], int[], text[], bigint[], int[], text[], int[], int, boolean) AS
WITH done AS (
  UPDATE jobs_job j SET status = 'completed', finished_at = statement_timestamp(), result = d.result::json
    FROM unnest($1, $2, $3) AS d (id, runs, result)
   WHERE j.id = d.id AND j.runs = d.runs AND (j.status = 'running' OR $9 AND j.status = 'completed') AND j.worker = $8
  RETURNING j.id, j.task_id),
claimed AS (
  UPDATE jobs_job j SET status = 'running', runs = c.runs, attempts = attempts + CASE WHEN j.status = 'pending' THEN 1 ELSE 0 END,
         worker = $8, started_at = statement_timestamp(), progress = NULL,
         deadline_at = statement_timestamp() + make_interval(secs => j.timeout)
    FROM unnest($4, $5, $6, $7) AS c (id, runs, queue, priority)
   WHERE j.id = c.id AND (j.status = 'pending' AND j.runs = c.runs - 1 AND j.run_at <= statement_timestamp()
         AND j.queue = c.queue AND j.priority = c.priority OR $9 AND j.status = 'running' AND j.runs = c.runs AND j.worker = $8)
     AND (SELECT count(*) FROM done) >= 0
  RETURNING j.id)
SELECT (SELECT array_agg(id) FROM done), (SELECT array_agg(id) FROM claimed), (SELECT count({tell("task_id")}) FROM done)"""
# Header tasks of chords, completed and counted. It fails, by a division by zero, when not all can be counted so: a chord is complete
# by it or was never sent whole, or a task was counted before.
COUNT = f"""PREPARE jobs_count (bigint[], int[], text[], text[], int[], text[]) AS
WITH given AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6) AS g (job, run, result, chord, place, value)),
done AS (
  UPDATE jobs_job j SET status = 'completed', finished_at = clock_timestamp(), result = g.result::json FROM given g
   WHERE j.id = g.job AND j.runs = g.run AND j.status = 'running' RETURNING j.id, j.task_id),
parts AS (
  INSERT INTO jobs_chordpart (chord_id, task_id, place, state, result)
  SELECT g.chord, d.task_id, g.place, 'SUCCESS', g.value::json FROM given g JOIN done d ON d.id = g.job
  ON CONFLICT DO NOTHING RETURNING chord_id),
counted AS (
  UPDATE jobs_chord c SET done = c.done + p.n FROM (SELECT chord_id, count(*)::int AS n FROM parts GROUP BY chord_id) p
   WHERE c.id = p.chord_id AND c.fired_at IS NULL AND c.done + p.n < c.size RETURNING p.n)
SELECT (SELECT array_agg(id) FROM done), (SELECT count({tell("task_id")}) FROM done),
       1 / CASE WHEN (SELECT coalesce(sum(n), 0) FROM counted) = (SELECT count(*) FROM done) THEN 1 ELSE 0 END"""
EXECUTE_COUNT = "EXECUTE jobs_count (%s::bigint[], %s::int[], %s::text[], %s::text[], %s::int[], %s::text[])"
EXECUTE = "EXECUTE jobs_flush (%s::bigint[], %s::int[], %s::text[], %s::bigint[], %s::int[], %s::text[], %s::int[], %s, %s)"


class Change:
    """One claim or completion on its way."""

    __slots__ = ("answer", "priority", "queue", "result", "run")

    def __init__(self, run: Run, result: str | None = None, queue: str = "", priority: int = 0) -> None:
        self.run, self.result, self.queue, self.priority = run, result, queue, priority
        self.answer = AsyncResult()


class Counted(Change):
    """A completion that a chord counts; `body` writes it with all that follows from it."""

    __slots__ = ("alone", "body", "left", "part")

    def __init__(self, run: Run, result: str | None, part: Part, body: Callable[[Any], bool]) -> None:
        super().__init__(run, result)
        self.part, self.body = part, body
        self.alone = self.left = False  # its own task is to write it; that task does not wait for the answer any more


class GroupCommit:
    """The only connections over which a gevent worker moves its rows."""

    green = True

    def __init__(self, registration: Registration, slots: int) -> None:
        self.slots = slots
        self.registration, self.worker_id, self.pid = registration, registration.id, os.getpid()
        self.held: dict[int, Any] = {}
        self.claims: list[Change] = []
        self.completions: list[Change] = []
        self.counted: list[Counted] = []
        self.alone = 0  # completions that their own tasks write just now
        self.deferred: list[Change] = []  # claims that wait for those
        self.connection: Any = None
        self.idle: list[Any] = []
        self.wake = Event()
        self.on_completing: Callable[[], None] = lambda: None  # frees the slot of the calling greenlet
        self.on_parked: Callable[[Any], None] = lambda greenlet: None  # gives a slot to a completion that waits for a lock
        gevent.spawn(self._run)

    def claim(self, run: Run, queue: str, priority: int) -> bool:
        """True if this run owns the job now. A second message for a job this process holds is refused here."""
        if run.id in self.held or not self.registration.held:
            return False
        self.held[run.id] = None
        change = Change(run, queue=queue, priority=priority)
        self.claims.append(change)
        self.wake.set()
        try:
            return bool(change.answer.get())
        except BaseException:  # killed while claiming; should the claim be won, the watch finds a row that nobody holds
            self.held.pop(run.id, None)
            raise

    def complete(self, run: Run, result: str | None) -> bool:
        """True if the result was stored; False if this run is no longer the job's."""
        change = Change(run, result)
        self.completions.append(change)
        self.on_completing()  # the completion is ahead of any later claim
        self.wake.set()
        return bool(change.answer.get())

    def complete_counted(self, run: Run, result: str | None, part: Part, body: Callable[[Any], bool]) -> bool:
        """The same for a header task of a chord. The one that completes the chord is written alone, with the chord's body."""
        change = Counted(run, result, part, body)
        self.counted.append(change)
        self.on_completing()
        self.wake.set()
        try:
            won = change.answer.get()
            if change.alone:
                self.on_parked(gevent.getcurrent())
                won = self.write(body)
            return bool(won)
        finally:
            change.left = True
            if change.alone:
                self._written_alone(change)

    def _written_alone(self, change: Counted) -> None:
        """Its slot is free now: the claims that were put off for it go on."""
        self.held.pop(change.run.id, None)
        self.alone -= 1
        self.claims, self.deferred = self.deferred + self.claims, []
        self.wake.set()

    def write(self, change: Callable[[Any], Any]) -> Any:
        """Run `change` in a transaction of its own, until PostgreSQL has answered."""
        while True:
            connection = None
            try:
                connection = self.idle.pop() if self.idle else self._plain()
                with connection, connection.cursor() as cursor:
                    answer = change(cursor)
                self.idle.append(connection)
                return answer
            except psycopg2.Error as error:
                if connection is not None and is_transient(error) and not is_lost(error):
                    self.idle.append(connection)
                elif connection is not None:
                    connection.close()
                if not is_transient(error):
                    raise
                gevent.sleep(PAUSE_S)

    def close(self) -> None:
        """End the connections that nobody uses."""
        for connection in filter(None, [self.connection, *self.idle]):
            connection.close()
        self.connection, self.idle = None, []

    def _plain(self) -> Any:
        connection = connect(f"jobs-engine {self.worker_id}")
        connection.autocommit = False
        return connection

    def _run(self) -> None:
        while True:
            self.wake.wait()
            self.wake.clear()
            while self.claims or self.completions or self.counted:
                claims, self.claims = self.claims, []
                completions, self.completions = self.completions, []
                if self.counted:
                    counted, self.counted = self.counted, []
                    self._flush_counted(counted)
                claims = self._within_slots(completions, claims)
                try:
                    self._flush(completions, claims)
                except Exception:  # without this loop the worker would live and take nothing
                    logger.exception("a batch could not be sent; its changes go one by one")
                    self._apart(completions, claims)

    def _within_slots(self, completions: list[Change], claims: list[Change]) -> list[Change]:
        """The claims there is room for. More come only when a completion had to wait for a lock after its slot was freed."""
        running = len(self.held) - len(claims) - len(self.claims) - len(self.deferred) - len(completions)
        room = max(0, self.slots - running)
        for change in claims[room:]:
            if self.alone:
                self.deferred.append(change)
            else:
                self._answer(change, False)
        return claims[:room]

    def _answer(self, change: Change, won: bool, *, ended: bool = False) -> None:
        """Count first, then tell: the next batch may leave before the greenlet that asked is switched to."""
        if ended or not won:
            self.held.pop(change.run.id, None)
        change.answer.set(won)

    def _flush(self, completions: list[Change], claims: list[Change]) -> None:
        """Send until PostgreSQL has answered; a batch that fails as a whole goes one by one."""
        resent = False
        while True:
            try:
                done, claimed, _ = self._send(completions, claims, resent)
            except psycopg2.Error as error:
                if is_lost(error):
                    if self.connection is not None:
                        self.connection.close()
                    self.connection, resent = None, True
                    gevent.sleep(PAUSE_S)
                    continue
                self._apart(completions, claims)
                return
            for change in completions:
                self._answer(change, change.run.id in (done or ()), ended=True)
            for change in claims:
                self._answer(change, change.run.id in (claimed or ()))
            return

    def _flush_counted(self, counted: list[Counted]) -> None:
        """Complete and count them in one statement; each on its own when a chord is complete by it, or something goes wrong."""
        try:
            with self._connected().cursor() as cursor:
                cursor.execute(
                    EXECUTE_COUNT,
                    (
                        [c.run.id for c in counted], [c.run.runs for c in counted], [c.result for c in counted],
                        [c.part.chord for c in counted], [c.part.place for c in counted], [c.part.result for c in counted],
                    ),
                )  # fmt: skip
                done = cursor.fetchone()[0] or ()
        except psycopg2.Error as error:
            if is_lost(error) and self.connection is not None:
                self.connection.close()
                self.connection = None
            for change in counted:
                if change.left:
                    self.on_parked(gevent.spawn(self._counted_alone, change))
                else:
                    change.alone = True
                    self.alone += 1
                    change.answer.set(None)
            return
        for change in counted:
            self._answer(change, change.run.id in done, ended=True)

    def _counted_alone(self, change: Counted) -> None:
        try:
            self._answer(change, bool(self.write(change.body)), ended=True)
        except Exception as error:  # whatever it is, the task that waits for the answer must hear of it
            change.answer.set_exception(error)

    def _apart(self, completions: list[Change], claims: list[Change]) -> None:
        """A locked row or a bad value among them: its neighbours may not wait for it. Refused claims are dispatched again."""
        for change in completions:
            self.on_parked(gevent.spawn(self._alone, change))
        for change in claims:
            self._answer(change, False)

    def _alone(self, change: Change) -> None:
        try:
            self._answer(
                change, bool(self.write(lambda cursor: transitions.complete(cursor, change.run, result=change.result))), ended=True
            )
        except psycopg2.Error as error:
            change.answer.set_exception(error)

    def _send(self, completions: list[Change], claims: list[Change], resent: bool) -> Any:
        with self._connected().cursor() as cursor:
            cursor.execute(
                EXECUTE,
                (
                    [c.run.id for c in completions], [c.run.runs for c in completions], [c.result for c in completions],
                    [c.run.id for c in claims], [c.run.runs for c in claims], [c.queue for c in claims], [c.priority for c in claims],
                    self.worker_id, resent,
                ),
            )  # fmt: skip
            return cursor.fetchone()

    def _connected(self) -> Any:
        if self.connection is None:
            self.connection = connect(f"jobs-commit {self.worker_id}")
            with self.connection.cursor() as cursor:
                cursor.execute(SESSION)
                cursor.execute(FLUSH)
                cursor.execute(COUNT)
        return self.connection
