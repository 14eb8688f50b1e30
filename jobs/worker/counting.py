"""The part of a group commit that completes header tasks of chords: they are counted in the same statement."""

from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from jobs.celery_app.running import Outcome
from jobs.store import late
from jobs.store.canvas import Part
from jobs.store.engine import is_lost
from jobs.store.transitions import Run
from jobs.worker import flush
from jobs.worker.flush import Change, Counted


class Counting:
    """For `GroupCommit`, which sends the rest. One that completes its chord is written alone, with the chord's body."""

    worker_id: int
    held: dict[int, Outcome | None]
    claims: list[Change]
    connection: Any
    wake: Event
    write: Callable[..., Any]
    on_completing: Callable[[], None]
    on_parked: Callable[[Any], None]

    def __init__(self) -> None:
        self.counted: list[Counted] = []
        self.alone = 0  # completions that their own tasks write just now
        self.deferred: list[Change] = []  # claims that wait for those

    def _ask(self, statement: str, values: Any, characters: int, read: Callable[[Any], Any]) -> Any:
        raise NotImplementedError

    def _answer(self, change: Change, won: bool, *, ended: bool = False) -> None:
        raise NotImplementedError

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
                won = self._write_counted(change)
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

    def _write_counted(self, change: Counted) -> Any:
        return self.write(change.body, written=lambda cursor: late.was_written(cursor, change.run), doubt=change.doubt, job=change.run.id)

    def _flush_counted(self, counted: list[Counted]) -> None:
        """Complete and count them in one statement; each on its own when a chord is complete by it, or something goes wrong."""
        try:
            values = (
                [c.run.id for c in counted], [c.run.runs for c in counted], [c.text for c in counted],
                [c.part.chord for c in counted], [c.part.place for c in counted], [c.part.result for c in counted],
                self.worker_id,
            )  # fmt: skip
            characters = sum(len(c.text or "") + len(c.part.result or "") for c in counted)
            done, _told, _one, whole = self._ask(flush.EXECUTE_COUNT, values, characters, lambda cursor: cursor.fetchone())
        except Exception as error:  # whatever it is, each goes on its own: without this loop the worker would live and take nothing
            if is_lost(error) and self.connection is not None:
                self.connection.close()
                self.connection = None
            self._each_alone(counted, is_lost(error))
            return
        if not whole:
            self._each_alone(counted, False)
            return
        for change in counted:
            self._answer(change, change.run.id in (done or ()), ended=True)

    def _each_alone(self, counted: list[Counted], doubt: bool) -> None:
        for change in counted:
            change.doubt = doubt
            if change.left:
                self.on_parked(gevent.spawn(self._counted_alone, change))
            else:
                change.alone = True
                self.alone += 1
                change.answer.set(None)

    def _counted_alone(self, change: Counted) -> None:
        try:
            self._answer(change, bool(self._write_counted(change)), ended=True)
        except Exception as error:  # whatever it is, the task that waits for the answer must hear of it
            change.answer.set_exception(error)
