"""Two verbs at once on one job: the first holds the row, the second waits for it, and exactly one wins.

Whatever the pair, the outcome is that of one after the other: the second judges the row as the first has left it. Where it could do
nothing with the row as it was, it may be refused without waiting, as if it had come first.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
from django.db import connection, transaction

from jobs import batches, control, dead_letters, undoing
from jobs.domain.actors import Actor, Source
from jobs.leader import election
from jobs.models import Batch, DeadLetterQueue
from jobs.models.attempt import Outcome
from jobs.models.audit import Verb
from jobs.store import interventions, links, locks, transitions
from jobs.store.insert import NewJob
from jobs.store.sent import insert_sent
from jobs.store.transitions import Failure, Run
from jobs.worker import flush
from jobs.worker.flush import Change
from tests.proof import rules
from tests.proof.plans import prepared
from tests.proof.rules import Row
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
TASK_ID = "the-one"


def failure(outcome: Outcome) -> Failure:
    return Failure(error_class="Broken", message="no", outcome=outcome)


def batch(*, completions: list[Run], claims: list[Run]) -> tuple[set[int], set[int]]:
    """The statement of the gevent worker."""
    ends, starts = [Change(run, "1") for run in completions], [Change(run, TASK_ID, "celery", 5) for run in claims]
    with prepared() as cursor:
        cursor.execute(*flush.batch(ends, starts, 1, resent=False))
        return flush.answer(cursor.fetchall())


def resolve(cursor: Any, run: Run) -> list[int]:
    cursor.execute("SELECT id FROM jobs_deadletterqueue WHERE job_id = %s", [run.id])
    return dead_letters.resolve([row[0] for row in cursor.fetchall()], "sara").done


def entries(run: Run) -> list[int]:
    return list(DeadLetterQueue.objects.filter(job_id=run.id).values_list("id", flat=True))


# name: (what is done, what it should come to). Run.runs is that of the present run, or of the next one for a claim.
VERBS: dict[str, tuple[Callable[[Any, Run], Any], Callable[[Row, int], Row | None]]] = {
    "claim": (
        lambda c, run: transitions.claim(c, run, task_id=TASK_ID, worker=1, queue="celery", priority=5),
        lambda row, runs: rules.claim(row, runs, 1, 5),
    ),
    "batch claim": (lambda c, run: batch(completions=[], claims=[run])[1], lambda row, runs: rules.claim(row, runs, 1, 5)),
    "complete": (lambda c, run: transitions.complete(c, run, result="1"), rules.complete),
    "complete a link": (
        lambda c, run: links.complete_linked(c, run, result="1", meta=None, new=NewJob(task="t.nap", task_id="the-next")),
        rules.complete,
    ),
    "batch complete": (lambda c, run: batch(completions=[run], claims=[])[0], rules.complete),
    "retry": (
        lambda c, run: transitions.retry(c, run, failure(Outcome.FAILED), delay=0.0),
        lambda row, runs: rules.retry(row, runs, "failed", due=True),
    ),
    "release": (
        lambda c, run: transitions.release(c, run, failure=failure(Outcome.INTERRUPTED)),
        lambda row, runs: rules.release(row, runs, due=True, noted=True),
    ),
    "bury": (
        lambda c, run: transitions.bury(c, run, failure(Outcome.FAILED), task="t.nap"),
        lambda row, runs: rules.bury(row, runs, "failed"),
    ),
    "replace": (lambda c, run: transitions.replace(c, run), rules.set_aside),
    "rescue": (lambda c, run: transitions.lose(c, run, failure(Outcome.LOST)), rules.lose),
    "stop": (lambda c, run: transitions.cancel_running(c, run, failure(Outcome.CANCELLED)), rules.cancel_running),
    "cancel": (lambda c, run: control.cancel([run.id], "sara").done, lambda row, runs: rules.cancel(row)),
    "revoke": (lambda c, run: interventions.revoke(c, [run.id]), lambda row, runs: rules.revoke(row)),
    "reprocess": (lambda c, run: control.reprocess([run.id], "sara").done, lambda row, runs: rules.reprocess(row)),
    "restore": (lambda c, run: control.restore([run.id], "sara").done, lambda row, runs: rules.restore(row)),
    "reprocess entry": (
        lambda c, run: dead_letters.reprocess(entries(run), "sara").done,
        lambda row, runs: rules.reprocess(row) if "open" in row.entries else None,
    ),
    "resolve": (resolve, lambda row, runs: rules.resolve(row)),
    "reopen": (lambda c, run: dead_letters.reopen(entries(run), "sara").done, lambda row, runs: rules.reopen(row)),
    "fail completed": (lambda c, run: control.fail_completed([run.id], "sara").done, lambda row, runs: rules.fail_completed(row)),
    "send again": (
        lambda c, run: insert_sent(c, NewJob(task="t.nap", task_id=TASK_ID)),
        lambda row, runs: rules.send_again(row, 5, due=True),
    ),
    "priority": (lambda c, run: control.change_priority([run.id], 9).done, lambda row, runs: rules.change_priority(row, 9)),
}
OF_PENDING = ["claim", "batch claim", "cancel", "revoke", "priority"]
OF_RUNNING = ["complete", "complete a link", "batch complete", "retry", "release", "bury", "replace", "rescue", "stop", "cancel", "revoke"]
OF_FAILED = ["reprocess", "reprocess entry", "resolve", "send again"]
OF_RESOLVED = ["reopen", "reprocess", "send again"]
OF_COMPLETED = ["fail completed", "send again"]
OF_CANCELLED = ["restore", "reprocess", "send again"]
PAIRS = [
    (status, first, second)
    for status, verbs in {
        "pending": OF_PENDING, "running": OF_RUNNING, "failed": OF_FAILED, "completed": OF_COMPLETED, "cancelled": OF_CANCELLED,
        "resolved": OF_RESOLVED,
    }.items()
    for first, second in product(verbs, verbs)
]  # fmt: skip
# What the second may do only because of the first.
PAIRS += [("cancelled", "restore", then) for then in OF_PENDING] + [("pending", "cancel", back) for back in OF_CANCELLED]
PAIRS += [("failed", "resolve", "reopen"), *[("resolved", "reopen", then) for then in ("resolve", "reprocess entry")]]


def job_in(status: str) -> tuple[int, Row]:
    """A job in this status, or failed with its entry resolved, and what is expected of it."""
    row = Row()
    with connection.cursor() as cursor:
        insert_sent(cursor, NewJob(task="t.nap", task_id=TASK_ID))
        cursor.execute("SELECT id FROM jobs_job")
        run = Run(id=cursor.fetchone()[0], runs=1)
        way = {"running": ["claim"], "completed": ["claim", "complete"], "failed": ["claim", "bury"], "cancelled": ["cancel"]}
        way["resolved"] = [*way["failed"], "resolve"]
        for name in way.get(status, []):
            do, expected = VERBS[name]
            assert do(cursor, run)
            after = expected(row, 1)
            assert after is not None
            row = after
        assert rules.read(cursor) == {run.id: row}
    return run.id, row


class _Undone(Exception):
    """Rolls the first transaction back."""


class Racers:
    """Two threads, each with its connection. The first's transaction stays open until the second waits for it, or has ended without."""

    def __init__(self) -> None:
        self.one, self.two = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.pid = self.one.submit(_session).result(20)
        self.done, self.go = threading.Event(), threading.Event()

    def close(self) -> None:
        for thread in (self.one, self.two):
            thread.submit(lambda: connection.close()).result(20)  # that of the thread
            thread.shutdown()

    def _first(self, do: Callable[[Any], Any], undo: bool) -> Any:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                won = do(cursor)
                self.done.set()
                assert self.go.wait(20)
                if undo:
                    raise _Undone
                return won
        except _Undone:
            return None
        finally:
            self.done.set()

    def _second(self, do: Callable[[Any], Any]) -> Any:
        with transaction.atomic(), connection.cursor() as cursor:
            return do(cursor)

    def _someone_waits(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND %s = ANY (pg_blocking_pids(l.pid))", [self.pid])
            return bool(cursor.fetchone()[0])

    def run(self, first: Callable[[Any], Any], second: Callable[[Any], Any], *, undo: bool = False) -> tuple[Any, Any, bool]:
        """What each said, and whether the second had to wait."""
        self.done.clear()
        self.go.clear()
        one = self.one.submit(self._first, first, undo)
        assert self.done.wait(20)
        two = self.two.submit(self._second, second)
        try:
            until(lambda: two.done() or self._someone_waits(), timeout=20, every=0.002)
            waited = not two.done()
        finally:
            self.go.set()
        return one.result(20), two.result(20), waited


def _session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.fixture
def racers() -> Iterator[Racers]:
    racers = Racers()
    yield racers
    racers.close()


@pytest.mark.parametrize("undo", [False, True], ids=["commit", "rollback"])
def test_two_verbs_at_once_come_to_one_after_the_other(racers: Racers, undo: bool) -> None:
    wrong = []
    for status, first, second in PAIRS:
        id, row = job_in(status)
        runs = row.runs + (status == "pending")
        run = Run(id=id, runs=runs)
        (do_first, expect_first), (do_second, expect_second) = VERBS[first], VERBS[second]
        between = expect_first(row, runs)
        assert between is not None, f"{first} should win alone"
        start = row if undo else between
        said, answer, waited = racers.run(
            lambda cursor, do=do_first, run=run: do(cursor, run), lambda cursor, do=do_second, run=run: do(cursor, run), undo=undo
        )  # type: ignore[misc]
        after = expect_second(start if waited else row, runs)
        with connection.cursor() as cursor:
            rows = rules.read(cursor)
            found, links = rows[id], len(rows) - 1
            cursor.execute("DELETE FROM jobs_attempt; DELETE FROM jobs_deadletterqueue; DELETE FROM jobs_aftermath; DELETE FROM jobs_job")
        if (found, bool(answer)) != (after or start, after is not None) or not (undo or said):
            wrong.append(f"{status}: {first} / {second}: {answer!r} {found}, not {after or start}")
        if links != ((first == "complete a link" and not undo) or (second == "complete a link" and bool(answer))):
            wrong.append(f"{status}: {first} / {second}: {links} links sent")
        if not waited and expect_second(row, runs) is not None:
            wrong.append(f"{status}: {first} / {second}: the second did not wait")
    assert wrong == []


def test_of_two_leaders_one_leads_and_the_other_follows_when_its_session_ends() -> None:
    one, two = election.connect(), election.connect()
    stop = threading.Event()
    try:
        assert election.elect(one, stop)
        with ThreadPoolExecutor(1) as threads:
            other = threads.submit(election.elect, two, stop)
            until(lambda: _asked(two), what="the second has tried")
            assert not other.done()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [one.info.backend_pid])
            assert other.result(20)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (%s, %s)", locks.LEADER)
            assert cursor.fetchall() == [(two.info.backend_pid,)]
    finally:
        stop.set()
        one.close()
        two.close()


def _asked(session: Any) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [session.info.backend_pid])
        return "pg_locks" in cursor.fetchone()[0]  # it was refused, and looks at the one that holds it


def test_nobody_changes_a_job_between_the_look_at_it_and_its_taking_back(racers: Racers) -> None:
    """It is found untouched: until that is committed, whoever would change it waits."""
    sara = Actor(name="sara", source=Source.CODE)
    id, _row = job_in("pending")
    batch = batches.draft(Verb.PRIORITY, [id], sara)
    assert batches.confirm(batch.pk, sara, priority=9)
    back = Batch(verb=Verb.PRIORITY.value, ids=[id], remark=f"{undoing.TAKES_BACK}{batch.pk}")
    change = control.change_priority
    judged, changed, waited = racers.run(lambda _: undoing.untouched(back, [id], "default"), lambda _: change([id], 3).done)
    assert (judged, changed, waited) == ([id], [id], True)
    judged, _, _ = racers.run(lambda _: undoing.untouched(back, [id], "default"), lambda _: change([id], 9).done)
    assert judged == []
