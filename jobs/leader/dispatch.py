"""The leader's loop: chores, a tick that fills the window, a wait that an insert ends."""

import logging
import select
import threading
import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any, Final

import redis

from jobs.celery_app.messages import Row
from jobs.conf import configuration
from jobs.domain import pace
from jobs.domain.complaint import Complaint
from jobs.domain.priority import LANES, lane_of
from jobs.leader import look, pick, publish
from jobs.leader.link import Link
from jobs.leader.load import Load, tell
from jobs.leader.neighbour import Neighbour
from jobs.leader.outage import Outage
from jobs.leader.rescue import Rescue
from jobs.leader.told import Told
from jobs.leader.window import Lane, Sent, Window
from jobs.store import broker
from jobs.store.locks import SLEEPING

logger = logging.getLogger(__name__)

RESYNC: Final = 1.0  # seconds between two readings of the lanes, and between two looks from the front
LOOK: Final = 0.5  # seconds between two looks at workers, deadlines and what else may ask for something
REST: Final = 1.0  # the same while nothing runs, so that nothing is to be rescued, or where it is dear to look at that
AFTER: Final = 0.1  # seconds that a look is put off at most, so that what has just been inserted goes first
QUIET: Final = 0.02  # seconds after it was told that a look due then waits as well: what was sent is being claimed
BURST: Final = 0.01  # seconds between two wakings; below it inserts need not notify
BUSY: Final = 0.05  # seconds; one that has less until half of the window is worked off stays awake
AWAKE: Final = 0.02  # the most seconds between two looks of one that is awake
CALM: Final = 0.1  # the most seconds that it sleeps while more is due than there is room for: jobs may become quicker
UNKNOWN: Final = 1000.0  # messages a second that are believed to leave Redis, until more is due than there is room for
WITHOUT: Final = 0.25  # seconds between two ticks while Redis does not answer
STILL_HERE: Final = 0.5  # seconds that PostgreSQL hears nothing of one that reads lanes or pushes
AT_ONCE: Final = 50  # lanes that are read together
CROWDED: Final = 256  # messages that have left Redis before it is asked which of them are claimed


class Leader:
    """One term of office: from winning the election to losing a connection."""

    def __init__(self, connection: Any, link: Link, load: Load, *, again: bool) -> None:
        self.load = load
        self.connection, self.cursor = connection, connection.cursor()
        self.cursor.execute(pick.PREPARE)
        self.link, self.window = link, Window()
        self.rescue = Rescue(connection, again=again)
        self.outage, self.neighbour = Outage(self.cursor, link), Neighbour(self.cursor)
        self.after: dict[Lane, pick.Place] = {}
        self.foreign: set[Lane] = set()  # lanes in whose place somebody else's value lies: their jobs wait, the others do not
        self.complaint = Complaint(logger, "Jobs of these lanes wait until the keys are deleted")
        self.asleep, self.polls = False, 0
        self.rate = UNKNOWN  # messages a second that leave Redis
        self.measured = time.monotonic()
        self.pace, self.whole_at = LOOK, 0.0
        self.holders: set[int] = set()
        self.looked = self.synced = self.notified = self.heard = 0.0
        self.awake_until = 0.0  # inserts come one upon the other
        self.is_told = False  # of an insert, since the last tick
        self.told = Told()
        self.next_due: float | None = None  # when (monotonic) the next job becomes due, None: to be asked
        self.suspect: Sent | None = None
        self.look_for_suspect = True

    def serve(self, stop: threading.Event) -> None:
        """Until told to stop; raises when the connection to PostgreSQL is lost."""
        while not stop.is_set():
            self.load.crowded = self.tick()
            self.wait(self.load.crowded)

    def rooms(self) -> dict[Lane, int]:
        """For each lane of the live queues, how many more messages it may get; the highest lanes first."""
        serving: dict[str, int] = defaultdict(int)
        for queues in self.rescue.live.values():
            for queue in set(queues):
                serving[queue] += 1
        size = configuration().dispatch_window
        left = {queue: size * number for queue, number in serving.items()}
        rooms: dict[Lane, int] = {}
        for lane in LANES:  # what a queue has in its higher lanes is not there for the lower ones
            for queue in left:
                left[queue] -= self.window.used((queue, lane))
                if (queue, lane) not in self.foreign:
                    rooms[queue, lane] = max(left[queue], 0)
        return rooms

    def tick(self) -> bool:
        """Look, rescue, and fill the window while Redis answers. True if more is due than there was room for."""
        now = time.monotonic()
        put_off, self.is_told = AFTER if self.is_told else 0.0, False
        if now - self.looked >= self.pace + put_off:
            self.looked = now
            self.look()
        self.outage.look(now)
        try:
            return self.link.is_open and not self.send_told(now) and self.fill(now)
        except redis.RedisError as error:
            self.link.lost(error)
            self.synced = 0.0  # whatever was sent last may lie there or not: read the lanes first
            return False

    def look(self) -> None:
        """See to dead workers and late jobs here, and wake the threads that see to the rest."""
        is_whole = time.monotonic() >= self.whole_at
        seen = look.look(self.cursor, None if is_whole else self.holders)
        self.heard = time.monotonic()
        if is_whole:
            self.holders, self.whole_at = seen.holders, time.monotonic() + pace.pause(seen.seconds)
        is_dear = time.monotonic() < self.whole_at
        self.pace = LOOK if not self.link.is_open or (seen.holders and not is_dear) else REST
        self.look_for_suspect, self.told.is_private = seen.suspects, seen.is_private
        tell(self.load.acts, seen.acts)
        tell(self.load.notices, seen.notices)
        if self.rescue.look(seen):
            self.after.clear()
            self.look_for_suspect = True

    def resync(self) -> None:
        """Read the lanes back; what was lost is forgotten, and so picked again."""
        queues = {queue for names in self.rescue.live.values() for queue in names}
        lanes = sorted({(queue, lane) for queue in queues for lane in LANES} | set(self.window.lying))
        commands = [*(("LRANGE", publish.key(lane), 0, -1) for lane in lanes), *self.neighbour.commands]
        answers: list[Any] = []
        for first in range(0, len(commands), AT_ONCE):
            answers += self.link.line.ask_all(commands[first : first + AT_ONCE], foreign=True)
            self.say_still_here()
        *lying, said, _set = answers
        self.neighbour.look(said)
        self.foreign = {lane for lane, found in zip(lanes, lying, strict=True) if found is None}
        if self.foreign:
            error = broker.foreign_keys(publish.key(lane) for lane in sorted(self.foreign))
            self.link.refused(error)
            self.complaint.say(error)
        left = self.window.resync({lane: found or [] for lane, found in zip(lanes, lying, strict=True)}, self.say_still_here)
        if lost := self.window.forget(pick.pending(self.cursor, left)):
            logger.warning("%s messages are no longer in Redis and were not claimed; sending them again", lost)
        self.window.drop(pick.moved(self.cursor, self.window))

    def say_still_here(self) -> None:
        """Long messages, and many, take a while: so no standby takes this one for stopped. Raises psycopg2.Error when one has."""
        if time.monotonic() - self.heard > STILL_HERE:
            self.cursor.execute("SELECT 1")
            self.heard = time.monotonic()

    def push(self, batch: dict[Lane, list[Row]]) -> None:
        """Push, and learn in the same way how much has left Redis. Raises redis.RedisError; what is refused keeps nothing else back."""
        lanes, gone, refused = list({*self.window.lanes(), *batch}), 0, None
        for sent, pushes in publish.pieces(batch, partial(pick.whole, self.cursor)):
            self.say_still_here()
            try:
                answers = self.link.line.ask_all(pushes + publish.lengths(lanes)) if lanes else []
            except redis.ResponseError as error:
                refused = refused or error
                continue
            for lane, rows in sent.items():
                self.window.add(lane, [row.sent for row in rows])
            gone += self.window.lengths(lanes, answers[len(pushes) :])
        if refused is not None:
            raise refused
        if batch and not self.foreign:
            self.link.taken()
        now = time.monotonic()
        if self.load.crowded:
            found = gone / max(now - self.measured, 1e-4)
            is_quicker = found > self.rate and self.window.held() < configuration().dispatch_window / 4
            self.rate += (1.0 if is_quicker else 0.2) * (found - self.rate)
        else:  # what left now and then says nothing of what is to come
            self.rate = UNKNOWN
        self.measured = now
        if len(self.window.left) > CROWDED:
            self.window.settle(pick.pending(self.cursor, list(self.window.left)))

    def send_told(self, now: float) -> bool:
        """Send the one job that was told, if all else that is due was sent before. True if nothing is left to be asked for."""
        taken = self.told.take(self.rooms()) if self.told.job else None
        if taken is None or self.load.crowded or not self.synced:
            return False
        lane, row = taken
        if self.has_beside(lane):  # which of them is older was not told
            return False
        if not self.window.has(row.sent):
            self.push({lane: [row]})
        return now != self.looked

    def has_beside(self, lane: Lane) -> bool:
        """Whether something may lie in the same lane of another queue that is served by the same worker."""
        beside = {queue for queues in self.rescue.live.values() if lane[0] in queues for queue in queues if queue != lane[0]}
        return any(self.window.used((queue, lane[1])) for queue in beside)

    def fill(self, now: float) -> bool:
        """Fill the window. True if more is due than there was room for. Raises redis.RedisError."""
        if now - self.synced >= RESYNC and (now == self.looked or not self.synced):  # with a look, so that rest is one waking a second
            self.synced = now
            self.after.clear()
            self.resync()
        if self.load.crowded:  # else there is room enough, as it was when something was pushed last
            self.push({})
        rooms, self.next_due = self.rooms(), None
        found: dict[Lane, list[tuple[str, Row]]] = defaultdict(list)
        for queue, due_at, *values in (rows := self.due(rooms)):
            row = Row(*values)
            found[queue, lane_of(row.priority)].append((due_at, row))
        batch: dict[Lane, list[Row]] = {}
        more = False
        count: dict[str, int] = defaultdict(int)
        for lane, room in rooms.items():  # from the highest lane: what a queue gets there, its lower lanes do not get
            taken = found[lane][: max(room - count[lane[0]], 0)]
            count[lane[0]] += len(taken)
            if taken:
                batch[lane] = [row for _, row in taken]
                self.after[lane] = (taken[-1][0], taken[-1][1].id)
            if len(found[lane]) >= room or len(rows) >= pick.MOST:  # also where there was no room to look
                more = True
            else:
                self.after.pop(lane, None)
        if self.look_for_suspect or self.suspect is not None:
            self.look_for_suspect = False
            self.add_suspect(rooms, batch)
        if batch:
            self.push(batch)
        return more

    def due(self, rooms: dict[Lane, int]) -> list[Any]:
        """The rows that there may be room for."""
        open_lanes = {lane: room for lane, room in rooms.items() if room}
        if not open_lanes:
            return []
        self.cursor.execute(pick.DUE, pick.values_of_due(open_lanes, self.after, self.window.marks()))
        self.heard = time.monotonic()
        return self.cursor.fetchall()

    def add_suspect(self, rooms: dict[Lane, int], batch: dict[Lane, list[Row]]) -> None:
        """Of the jobs that lost two workers, one at a time; its worker runs it alone, so that it drags no other along."""
        if not rooms or (self.suspect is not None and self.window.has(self.suspect)):
            return
        self.cursor.execute(pick.SUSPECT, [sorted({queue for queue, _ in rooms})])
        self.suspect = None
        for queue, *values in self.cursor.fetchall():
            row = replace(Row(*values), alone=True)
            if not self.window.has(row.sent):
                self.suspect = row.sent
                batch.setdefault((queue, lane_of(row.priority)), []).append(row)

    def wait(self, more: bool) -> None:
        """Until a job is inserted or becomes due; if more is due, at most until about half of the window has been worked off."""
        if not self.link.is_open:
            self.wake()
            self.link.answers.wait(WITHOUT)
            return
        longest = REST
        if more:
            half = configuration().dispatch_window * max(len(self.rescue.live), 1) / 2
            longest = min((self.window.held() - half) / max(self.rate, 1.0), CALM)
            if longest < BUSY or time.monotonic() < self.awake_until:
                self.wake()
                time.sleep(min(max(longest, 0.002), AWAKE))
                return
        if not self.asleep:  # from now on an insert notifies; look once more, then sleep
            self.cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", SLEEPING)
            self.asleep = self.cursor.fetchone()[0]
            if not self.asleep:  # an insert is not committed yet
                time.sleep(min(0.001 * 2**self.polls, 0.025))
                self.polls = min(self.polls + 1, 5)
            self.connection.notifies.clear()  # what was told up to here is looked at now; by its next waking it may have ended
            return
        self.polls = 0
        longest = min(self.pause(), longest)  # it asks PostgreSQL: what is told meanwhile comes with the answer, and select sees it no more
        if self.connection.notifies or select.select([self.connection], [], [], longest)[0]:
            self.connection.poll()
            self.is_told = True
            self.told.hear(self.connection.notifies)
            now = time.monotonic()
            if now - self.notified < BURST:
                self.awake_until = now + CALM
                self.wake()
            self.notified = now
        self.connection.notifies.clear()

    def pause(self) -> float:
        """Seconds until the next chore or the next job that becomes due."""
        now = time.monotonic()
        if self.next_due is None:
            self.next_due = now + pick.until_due(self.cursor, self.rooms())
        return max(min(max(self.looked + self.pace, self.notified + QUIET), self.next_due) - now, 0.0)

    def wake(self) -> None:
        """Inserts need not notify any more."""
        if self.asleep:
            self.cursor.execute("SELECT pg_advisory_unlock(%s, %s)", SLEEPING)
            self.asleep = False
