"""The engine of a gevent worker: claims and completions that gather during one round trip leave together in the next.

There is no timer: a lone job is sent at once. A caller gets its answer after the commit. Completions are written before the
claims of the same batch and with the same timestamp, so PostgreSQL never shows more running jobs than there are slots.

What a batch has claimed begins at once. What it has ended is told while PostgreSQL has the next batch: Celery's work after the
end of a task holds nothing up.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gevent
import psycopg2
from gevent.event import Event

from jobs.store import links, transitions
from jobs.store.engine import PASSING, connect, is_lost, is_transient, unless_locked, unless_refused
from jobs.store.insert import NewJob
from jobs.store.links import Linked
from jobs.store.transitions import Failure, Run
from jobs.worker import flush
from jobs.worker.apart import Apart
from jobs.worker.flush import Change
from jobs.worker.gathering import Gathering
from jobs.worker.mute import Patience
from jobs.worker.own_writes import PAUSE_S, OwnWrites
from jobs.worker.refused import Refused, not_yet
from jobs.worker.registration import Registration

logger = logging.getLogger("jobs.worker")
# While an old transaction is open, the look at what is due reads through all that was claimed since. Where it takes long, it is taken
# for a tenth of the time at most; the links in between wait for the leader, as any job.
LONG_S = 0.02
LOOKS = 10


class GroupCommit(Apart):
    """The only connections over which a gevent worker moves its rows."""

    green, alone = True, False

    def __init__(self, registration: Registration, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.registration, self.worker_id = registration, registration.id
        self._own = OwnWrites(partial(connect, f"jobs-engine {self.worker_id}"), gevent.sleep)
        self.write = self._own.write
        self.held = {}
        self.ending: dict[Run, Any] = {}
        self.unwritten: dict[Run, Failure] = {}
        self.handed: dict[int, Run] = {}
        self.linking: set[str | None] = set()  # task_ids of jobs that may run here, which only PostgreSQL knows yet
        self.early: dict[int, Change] = {}  # claims that were asked for, and whose tasks have not begun
        self.claims: list[Change] = []
        self.completions: list[Change] = []
        self.ended: list[tuple[Change, bool]] = []  # committed, or refused, and their tasks do not know it yet
        self.was_held = True  # this worker's lock, when the last claims were answered
        self.look_again = 0.0  # time.monotonic() before which no job is handed on
        self.connection: Any = None
        self.patience = Patience()
        self.hang_up = self.patience.hang_up
        self.refused = Refused(logger, "a change of jobs is refused")
        self.wake = Event()
        self.gathering = Gathering()
        self.on_completing: Callable[[], None] = lambda: None  # frees the slot of the calling greenlet
        self.on_parked: Callable[[Any], None] = lambda greenlet: None  # gives a slot to a completion that waits for a lock
        self.may_hand_on: Callable[[NewJob], Sequence[str]] = lambda new: ()  # the queues of this worker; none: the job is to wait
        self.on_handed: Callable[[int, NewJob], None] = lambda id, new: None
        gevent.spawn(self._run)

    def claim(self, run: Run, task_id: str, queue: str, priority: int) -> bool:
        """True if this run owns the job now. A second message for a job this process holds is refused here."""
        if self.handed.get(run.id) == run:
            return self._begin_handed(run)
        change = self.early.get(run.id)
        if change is not None and change.run == run:
            del self.early[run.id]
        elif run.id in self.held or not self.registration.held:
            return False
        else:
            change = self._claim(run, task_id, queue, priority)
        try:
            won = bool(change.answer.get())
        except BaseException:  # killed while claiming; should the claim be won, the watch finds a row that nobody holds
            self.held.pop(run.id, None)
            raise
        if won and not self.was_held:  # the lock was lost meanwhile
            self._release(run)
            return False
        return won

    def ask(self, run: Run, task_id: str, queue: str, priority: int) -> None:
        """Claim a job whose task will ask for the answer by `claim`."""
        if run.id not in self.held:
            self.early[run.id] = self._claim(run, task_id, queue, priority)

    def _claim(self, run: Run, task_id: str, queue: str, priority: int) -> Change:
        self.held[run.id] = None
        change = Change(run, task_id, queue, priority)
        self.claims.append(change)
        self.wake.set()
        return change

    def _begin_handed(self, run: Run) -> bool:
        """Without the lock a leader may be taking it away."""
        if not self.registration.held:
            self.give_back(run)
            return False
        del self.handed[run.id]
        return True

    @property
    def unbegun(self) -> set[Run]:
        """The jobs that were handed on or claimed, and whose tasks have not asked for them."""
        return {*self.handed.values(), *(change.run for change in self.early.values())}

    def take_back(self, run: Run) -> bool:
        """Whether it is one of them and this worker's. Its task will be refused from now on; its slot is taken until it is not held."""
        if self.handed.get(run.id) == run:
            del self.handed[run.id]
            return True
        change = self.early.get(run.id)
        if change is None or change.run != run:
            return False
        del self.early[run.id]
        return bool(change.answer.get())

    def give_back(self, run: Run) -> None:
        """Release such a job, if it is one."""
        if self.take_back(run):
            self._release(run)

    def _release(self, run: Run) -> None:
        try:
            self.write(unless_refused(unless_locked(lambda cursor: transitions.release(cursor, run)), self.refused.say))  # else the watch
        finally:
            self.held.pop(run.id, None)

    def complete_linked(self, run: Run, *, result: str | None, meta: str | None, new: NewJob, written: Callable[[Any], bool]) -> bool:
        """True if the result was stored, with the job that follows. That may have begun: then it runs here, in the same slot.

        `written` as in `write`.
        """
        queues = self.may_hand_on(new) if self.registration.held and time.monotonic() >= self.look_again else ()
        if not queues:
            end = partial(links.complete_linked, run=run, result=result, meta=meta, new=new)
            return bool(self.write(end, single=True, written=written, job=run.id))

        def change(cursor: Any) -> Linked | None:
            return links.complete_handing_on(cursor, run, result=result, meta=meta, new=new, worker=self.worker_id, queues=queues)

        def known(cursor: Any) -> Linked | None:
            return links.begun_here(cursor, new, self.worker_id) if written(cursor) else None

        self.linking.add(new.task_id)
        try:
            found = self.write(change, single=True, written=known, job=run.id)
            if found is None:
                return False
            if found.begun:  # the rows have changed places; so does what is counted here, before anything else can run
                self.held.pop(run.id, None)
                self.held[found.begun], self.handed[found.begun] = None, Run(id=found.begun, runs=1, worker=self.worker_id)
                self.on_handed(found.begun, new)
            if found.seconds > LONG_S:
                self.look_again = time.monotonic() + LOOKS * found.seconds
            return True
        finally:
            self.linking.discard(new.task_id)

    def complete(self, run: Run, result: str | None) -> bool:
        """True if the result was stored; False if this run is no longer the job's."""
        change = Change(run, result)
        self.completions.append(change)
        self.on_completing()  # the completion is ahead of any later claim
        self.wake.set()
        return bool(change.answer.get())

    def close(self) -> None:
        """End the connections that nobody uses."""
        self._own.close()
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _run(self) -> None:
        while True:
            self.wake.wait()
            self.wake.clear()
            while self._has_more():
                if len(self.completions) + len(self.counted) > len(self.claims):
                    self.gathering.wait()
                self._tell()
                claims, self.claims = self.claims, []
                completions, self.completions = self.completions, []
                if self.counted:
                    counted, self.counted = self.counted, []
                    self._flush_counted(counted)
                claims = self._within_slots(completions, claims)
                try:
                    if completions or claims:
                        self._flush(completions, claims)
                except Exception:  # without this loop the worker would live and take nothing
                    logger.exception("a batch could not be sent; its changes go one by one")
                    self._apart(completions, claims)

    def _has_more(self) -> bool:
        """Whether there is something to send. Where nothing follows at once, the ends are told."""
        if self.ended and not self._gathered:
            gevent.sleep(0)  # what was claimed begins, and may have ended
            if not self._gathered:
                self._tell()
        return self._gathered

    @property
    def _gathered(self) -> bool:
        return bool(self.claims or self.completions or self.counted)

    def _tell(self) -> None:
        """Their tasks go on at the next switch to the hub: when the next batch has left."""
        for change, won in self.ended:
            change.answer.set(won)
        self.ended.clear()

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
        resent, complaint = False, None
        while True:
            try:
                done, claimed = self._send(completions, claims, resent)
            except psycopg2.Error as error:
                if is_lost(error):
                    if self.connection is not None:
                        self.connection.close()
                    self.connection, resent = None, True
                    complaint = complaint or not_yet()
                    complaint.say(error)
                    gevent.sleep(PAUSE_S)
                    continue
                if is_transient(error) and not isinstance(error, PASSING):
                    self.refused.say(error)
                self._apart(completions, claims, doubt=resent, passing=isinstance(error, PASSING))
                return
            if claims:
                self.was_held = self.registration.held
            for change in claims:
                self._answer(change, change.run.id in claimed)
            for change in completions:
                self.held.pop(change.run.id, None)
                self.ended.append((change, change.run.id in done))
            return

    def _send(self, completions: list[Change], claims: list[Change], resent: bool) -> tuple[set[int], set[int]]:
        statement, texts = flush.batch(completions, claims, self.worker_id, resent=resent)
        rows: Any = self._ask(statement, texts, len(texts[0]), lambda cursor: cursor.fetchall())
        return flush.answer(rows)

    def _ask(self, statement: str, values: Any, characters: int, read: Callable[[Any], Any]) -> Any:
        """What one statement answers, in good time: it waits for no lock. Raises psycopg2.Error."""
        connection = self._connected()
        self.patience.begin(connection, characters)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return read(cursor)
        finally:
            self.patience.end(connection)

    def _connected(self) -> Any:
        if self.connection is None:
            self.connection = connect(f"jobs-commit {self.worker_id}")
            with self.connection.cursor() as cursor:
                cursor.execute(flush.SESSION)
                cursor.execute(flush.PREPARE)
        return self.connection
