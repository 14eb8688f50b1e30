"""Two connections on the same rows, as the rules of a Hypothesis state machine: each may leave its transaction open."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from django.db import OperationalError, connection
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jobs.store import engine
from jobs.worker import flush
from tests.proof import rules
from tests.proof.rules import Row

WON: Counter[str] = Counter()  # verbs that have won


class Actor:
    """One connection, and what it has changed and not committed: job -> expected row, None for a job that it has deleted."""

    def __init__(self) -> None:
        self.changed: dict[int, Row | None] = {}
        self.open = False


class TwoConnections(RuleBasedStateMachine):
    """A worker's connection and a person's. A rule that a lock of the other one stops is rolled back, as the engine and Django do."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: dict[int, Row] = {}
        self.task_ids: dict[int, str] = {}
        self.worker, self.person = Actor(), Actor()
        self.blocked, self.verb = 0, ""

    @initialize()
    def connect(self) -> None:
        self.own = engine.connect("proof worker")
        with self.own.cursor() as cursor:
            cursor.execute(flush.SESSION + "; SET lock_timeout = '15ms'")
            cursor.execute(flush.PREPARE)
        self.own.autocommit = False
        self.observer = engine.connect("proof observer")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '15ms'")

    def teardown(self) -> None:
        self.own.close()
        if self.person.open:
            connection.rollback()
        connection.set_autocommit(True)
        with self.observer.cursor() as cursor:
            cursor.execute("SELECT DISTINCT old, new, runs_after - runs_before FROM proof_audit")
            changes = cursor.fetchall()
            cursor.execute("TRUNCATE jobs_job, jobs_attempt, jobs_deadletterqueue, jobs_aftermath, proof_audit")
        self.observer.close()  # before anything is judged: the next history begins with empty tables
        for old, new, more in changes:
            assert old == new or (old, new) in rules.LEGAL, f"{old} became {new}"
            may = {("pending", "running"): {1}, ("cancelled", "pending"): {0, 1}}.get((old, new), {0})
            assert more in may, f"runs went up by {more} from {old} to {new}"

    def _other(self, actor: Actor) -> Actor:
        return self.person if actor is self.worker else self.worker

    def _see(self, actor: Actor, id: int) -> Row | None:
        """What a statement of this actor sees: its own changes, else what is committed (READ COMMITTED)."""
        return actor.changed[id] if id in actor.changed else self.committed.get(id)

    @contextmanager
    def _cursor(self, actor: Actor) -> Iterator[Any]:
        if actor is self.worker:
            with self.own.cursor() as cursor:
                yield cursor
        else:
            with connection.cursor() as cursor:
                yield cursor

    def _do(self, actor: Actor, id: int, verb: Callable[[Any], Any], expected: Callable[[Row], Row | None]) -> None:
        """Run the verb and compare; it may only be stopped by a lock while the other's transaction is open."""
        row = self._see(actor, id)
        after = None if row is None else expected(row)
        try:
            with self._cursor(actor) as cursor:
                won = verb(cursor)
        except (psycopg2.errors.LockNotAvailable, OperationalError) as error:
            if "lock timeout" not in str(error) or not self._other(actor).open:
                raise
            self.blocked += 1
            self._end(actor, commit=False)
            return
        assert bool(won) == (after is not None), f"{won!r} for {row} -> {after}"
        if after is not None:
            WON[self.verb] += 1
            actor.changed[id] = after
        if not actor.open:
            self._end(actor, commit=True)

    def _end(self, actor: Actor, *, commit: bool) -> None:
        if actor is self.worker:
            self.own.commit() if commit else self.own.rollback()
        elif actor.open:
            connection.commit() if commit else connection.rollback()
            connection.set_autocommit(True)
        for id, row in actor.changed.items() if commit else ():
            if row is None:
                self.committed.pop(id, None)
            else:
                self.committed[id] = row
        actor.changed, actor.open = {}, False

    @rule(by_person=st.booleans(), commit=st.sampled_from([True, True, False]))
    def begin_or_end(self, by_person: bool, commit: bool) -> None:
        actor = self.person if by_person else self.worker
        if actor.open:
            self._end(actor, commit=commit)
        else:
            if by_person:
                connection.set_autocommit(False)
            actor.open = True

    @invariant()
    def rows_are_as_expected(self) -> None:
        with self.observer.cursor() as cursor:
            assert rules.read(cursor) == self.committed
