"""The watch sleeps until its look is due, its lock's connection has something to say or it is told to stop; it never spins."""

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg2.errors import UndefinedTable

from jobs.celery_app.body import Body
from jobs.celery_app.running import Outcome
from jobs.domain.errors import JobCancelled
from jobs.store.transitions import Run
from jobs.store.unwritable import WITHOUT
from jobs.worker.watch import EACH_S, FREE, SOON_S, Watch
from tests.waiting import until


class Registration:
    """One end of a socket pair in place of the session with the lock."""

    running: Any = ()
    is_whole = True
    untold = False

    def __init__(self) -> None:
        self.connection, self.server = socket.socketpair()
        self.is_cut = False
        self.fails: Exception | None = None
        self.asked, self.checks = 0, list[float]()

    @property
    def held(self) -> bool:
        self.asked += 1
        return not self.is_cut

    def check(self, held: Any) -> bool:
        self.checks.append(time.monotonic())
        if self.fails:
            raise self.fails
        if self.is_cut:
            self.connection.close()
            self.connection, self.server = socket.socketpair()
            self.is_cut = False
        return True


@pytest.fixture
def registration() -> Iterator[Registration]:
    made = Registration()
    yield made
    made.connection.close()
    made.server.close()


@pytest.fixture
def watch(registration: Registration) -> Iterator[Watch]:
    made = Watch(SimpleNamespace(registration=registration, held={}, unbegun=set(), unwritten={}))
    made.start()
    yield made
    if not made.stopping.is_set():
        made.stop()


def test_a_cut_connection_is_seen_before_the_look_is_due(watch: Watch, registration: Registration) -> None:
    until(lambda: registration.checks, timeout=5)
    registration.is_cut = True
    registration.server.close()
    begun = time.monotonic()
    until(lambda: len(registration.checks) > 1, timeout=5, every=0.001)
    assert registration.checks[1] - begun < EACH_S / 2
    assert registration.held


def test_at_rest_it_wakes_for_its_looks_only(watch: Watch, registration: Registration) -> None:
    until(lambda: len(registration.checks) >= 3, timeout=10)
    assert registration.asked <= 3 * len(registration.checks) + 3
    assert all(later - earlier > 0.9 * EACH_S for earlier, later in zip(registration.checks, registration.checks[1:], strict=False))


def test_the_answer_to_somebody_elses_statement_is_left_to_him(watch: Watch, registration: Registration) -> None:
    """It may lie there for a while, when he is not switched to."""
    registration.server.send(b"an answer")
    until(lambda: len(registration.checks) >= 2, timeout=10)
    assert registration.asked < 40


def test_what_fails_is_tried_again_at_a_pace(watch: Watch, registration: Registration, caplog: pytest.LogCaptureFixture) -> None:
    registration.fails = RuntimeError("nobody knows why")
    until(lambda: len(registration.checks) >= 4, timeout=10)
    assert registration.checks[3] - registration.checks[1] > 1.5 * SOON_S
    registration.fails = None
    assert "it goes on" in caplog.text
    assert "Traceback" in caplog.text


def test_tables_that_are_gone_are_said_in_one_line(watch: Watch, registration: Registration, caplog: pytest.LogCaptureFixture) -> None:
    """As between `migrate jobs zero` and the next `migrate`."""
    registration.fails = UndefinedTable('relation "jobs_worker" does not exist\nLINE 1: SELECT')
    until(lambda: len(registration.checks) >= 4, timeout=10)
    registration.fails = None
    said = [record for record in caplog.records if record.name == "jobs.worker"]
    assert [record.levelname for record in said] == ["ERROR"]
    assert said[0].getMessage() == 'the watch over this worker\'s rows fails, and goes on: relation "jobs_worker" does not exist'
    assert said[0].exc_info is None


def test_what_is_still_to_be_told_is_told_without_a_pause(watch: Watch, registration: Registration) -> None:
    """A few jobs at a time; the looks go on between them."""
    left, told = [20] * 30, list[float]()

    def tell() -> int:
        time.sleep(EACH_S / 15)
        told.append(time.monotonic())
        registration.untold = len(left) > 1
        return left.pop() if left else 0

    watch.tell, registration.untold = tell, True
    until(lambda: not left, timeout=20)
    assert told[-1] - told[0] < 10 * EACH_S
    assert 2 <= len(registration.checks) < len(told)
    looks = len(registration.checks)
    until(lambda: len(registration.checks) >= looks + 2, timeout=10)
    assert len(told) <= 31, "and then no more"


def test_whoever_takes_his_time_over_an_end_keeps_the_watch_from_nothing(watch: Watch, registration: Registration) -> None:
    """The errback of somebody: nobody heard of a cancellation, and a lock that was cut was not taken again."""
    calls, go_on = list[float](), threading.Event()

    def tell() -> None:
        calls.append(time.monotonic())
        assert go_on.wait(30)
        time.sleep(EACH_S / 4)
        calls.append(time.monotonic())

    watch.tell, registration.untold = tell, True
    until(lambda: calls, timeout=5)
    looks = len(registration.checks)
    registration.is_cut = True
    registration.server.close()
    until(lambda: registration.held and len(registration.checks) >= looks + 3, timeout=10, what="it looks, and holds the lock again")
    assert len(calls) == 1, "one at a time"
    go_on.set()
    watch.stop()
    assert len(calls) == 2, "who stops waits for the one that is being told"


def test_what_cannot_be_told_is_tried_again_at_a_later_look(
    watch: Watch, registration: Registration, caplog: pytest.LogCaptureFixture
) -> None:
    calls = list[float]()

    def tell() -> int:
        calls.append(time.monotonic())
        raise RuntimeError("nobody knows why")

    watch.tell, registration.untold = tell, True
    until(lambda: len(calls) >= 2, timeout=10)
    watch.stop()
    assert calls[1] - calls[0] > EACH_S / 2
    assert "it is tried again" in caplog.text


def test_it_stops_where_no_thread_could_be_started_to_tell(
    watch: Watch, registration: Registration, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        watch.tell, registration.untold = lambda: 0, True
        until(lambda: "can't start new thread" in caplog.text, timeout=10)
    watch.stop()
    assert not watch.thread.is_alive()


def test_it_stops_at_once(watch: Watch, registration: Registration) -> None:
    until(lambda: registration.checks, timeout=5)
    begun = time.monotonic()
    watch.stop()
    assert time.monotonic() - begun < EACH_S / 2
    assert not watch.thread.is_alive()
    watch.stop()  # a worker that is told twice


def test_a_row_that_nobody_holds_is_released_at_the_second_look(registration: Registration) -> None:
    """At the first it may have been claimed a moment ago, or be just about to end."""
    released: list[Any] = []
    engine = SimpleNamespace(registration=registration, worker_id=1, held={}, unbegun=set(), unwritten={}, write=released.append)
    watch = Watch(engine)
    registration.running = [(7, 1, False, "seven")]
    watch.look()
    assert released == []
    registration.running = [(7, 2, False, "seven"), (8, 1, False, "eight")]
    watch.look()
    assert released == [], "another run of it"
    watch.look()
    assert len(released) == 2


@pytest.mark.parametrize(("started", "settled", "counted"), [(True, False, True), (False, False, False), (True, True, False)])
def test_a_run_whose_greenlet_is_gone_without_an_end_is_counted(
    registration: Registration, started: bool, settled: bool, counted: bool
) -> None:
    """Released only, a job that always ends so ran for ever."""
    written: list[Any] = []
    outcome = Outcome(run=Run(id=7, runs=1), task=None, started=started, settled=settled)
    outcome.body.greenlet = SimpleNamespace(dead=True)
    engine = SimpleNamespace(registration=registration, worker_id=1, held={7: outcome}, unbegun=set(), unwritten={}, write=written.append)
    watch = Watch(engine)
    registration.running = [(7, 1, False, "seven")]
    watch.look()
    assert engine.held
    for _ in range(3):
        watch.look()
    assert not engine.held
    assert bool(engine.unwritten) is counted


def test_a_look_at_held_jobs_alone_says_nothing_of_the_others(registration: Registration) -> None:
    released: list[Any] = []
    watch = Watch(SimpleNamespace(registration=registration, worker_id=1, held={}, unbegun=set(), unwritten={}, write=released.append))
    seen = [(7, 1, False, "seven")]
    for running, is_whole, number in ((seen, True, 0), ((), False, 0), (seen, False, 0), (seen, True, 1)):
        registration.running, registration.is_whole = running, is_whole
        watch.look()
        assert len(released) == number


@pytest.mark.parametrize(("closing", "settled", "asked"), [(False, False, True), (True, False, False), (False, True, False)])
def test_a_run_is_asked_to_stop_while_its_body_goes_on(
    monkeypatch: pytest.MonkeyPatch, registration: Registration, closing: bool, settled: bool, asked: bool
) -> None:
    """Afterwards its end is being written."""
    errors: list[type[BaseException]] = []
    monkeypatch.setattr(Body, "throw", lambda self, error: errors.append(error))
    outcome = Outcome(run=Run(id=7, runs=1), task=None, closing=closing, settled=settled)
    watch = Watch(SimpleNamespace(registration=registration, held={7: outcome}, unbegun=set(), unwritten={}))
    registration.running = [(7, 1, True, "seven")]
    for _ in range(2):
        watch.look()
    assert errors == [JobCancelled] * 2 * asked


def test_what_is_left_again_and_again_is_not_given_back_for_ever(registration: Registration, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason is: the answer to a claim may be lost once, and is not each time."""
    changes: list[str] = []
    monkeypatch.setattr(Watch, "_write", lambda self, change: changes.append(change.func.__name__) or True)
    watch = Watch(SimpleNamespace(registration=registration, worker_id=1, held={}, unbegun=set(), unwritten={}))
    for runs in range(1, FREE + 3):
        registration.running = [(7, runs, False, "seven"), (8 + runs, 1, False, "another")]
        watch.look()
        watch.look()
    assert changes.count("take_away") == 2
    assert changes.count("release") == FREE + FREE + 2, "of the job that is left again and again, and of each other one"


def test_a_run_without_an_end_that_another_took_away_is_forgotten(registration: Registration) -> None:
    """Its failure and traceback were kept as long as the worker lived."""
    taken, running = Run(id=7, runs=1, worker=1), Run(id=8, runs=1, worker=1)
    unwritten = dict.fromkeys((taken, running), WITHOUT)
    watch = Watch(SimpleNamespace(registration=registration, worker_id=1, held={8: None}, unbegun=set(), unwritten=unwritten))
    registration.running = [(8, 1, False, "eight")]
    watch.look()
    assert taken in unwritten, "its row may have been claimed a moment ago"
    watch.look()
    assert list(unwritten) == [running]
