"""The session that holds a worker's lock: how soon it notices what, and what it notices of a host that is gone."""

import os
import threading
from collections.abc import Callable, Iterator
from operator import attrgetter, methodcaller

import pytest
from django.db import connection, transaction

from jobs.store import engine
from jobs.worker import registration
from jobs.worker.process import Parent, child_engine
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registration]:
    monkeypatch.setattr(registration, "GIVEN_UP_S", 0.3)
    monkeypatch.setattr(registration, "SLOW_S", 0.1)
    made = Registration(WORKER | {"pool": "threads"})
    yield made
    made.leave()


def test_a_look_that_takes_too_long_is_given_up_and_the_lock_is_kept(registered: Registration, caplog: pytest.LogCaptureFixture) -> None:
    session = registered.session
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK jobs_worker")
        looking = threading.Thread(target=registered.check)
        looking.start()
        until(lambda: not registered.held, timeout=5, what="nothing is admitted while no answer comes")
        looking.join(5)
        assert registered.held
        registered.whole_at = 0.0
        registered.check()
    assert registered.check([])
    assert not registered.is_whole, "all that runs here is not looked at again at once"
    assert registered.check()
    assert registered.is_whole
    assert registered.session == session
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("canceling statement due to statement timeout"), "once a minute, and no more than its first line"


@pytest.mark.parametrize("limit", ["lock_timeout", "transaction_timeout"])
def test_a_limit_of_the_role_does_not_cost_the_lock(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_settings WHERE name = %s", [limit])
        if not cursor.rowcount:
            pytest.skip("this PostgreSQL knows no such limit")
    monkeypatch.setattr(registration, "GIVEN_UP_S", 0.5)
    monkeypatch.setenv("PGOPTIONS", f"-c {limit}=100")
    made = Registration(WORKER | {"pool": "threads"})
    session = made.session
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK jobs_job")
            assert made.check(), "the look was given up, and the lock is held"
        assert made.session == session
    finally:
        made.leave()


def test_a_lock_that_is_lost_is_told_in_one_line_of_plain_words(registered: Registration, caplog: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [registered.session])
    assert registered.check()
    line, *_ = [record.getMessage() for record in caplog.records]
    said = line.removeprefix("the worker's lock connection is gone, nothing is admitted: ")
    assert said[0].isalpha(), f"it reads as a list: {said}"


def test_an_answer_that_never_comes_is_not_waited_for(registered: Registration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "MUTE_S", 0.1)
    with registered.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    registered.hang_up()
    assert registered.held, "at rest it is not mute"
    session = registered.session
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK jobs_job")
        looking = threading.Thread(target=registered.check)
        looking.start()
        until(lambda: not registered.held, timeout=5)
        until(lambda: registered.hang_up() or not looking.is_alive(), timeout=5)
    until(registered.check, timeout=5)
    assert registered.session != session, "the lock is taken over another connection"


def test_the_server_looks_after_the_lines_to_workers_too() -> None:
    """Else a host that is gone would hold its locks for the two hours of Linux's own keepalive. Over a unix socket the values read 0."""
    made = engine.connect("test")
    with made.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE name ~ '^tcp_' AND source = 'session' ORDER BY name")
        assert [name for (name,) in cursor.fetchall()] == [
            "tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout",
        ]  # fmt: skip
    made.close()


def test_a_child_is_registered_under_its_own_parent() -> None:
    """Two containers in the network of one host have one host name, and each worker in them may be its process 1."""
    here = WORKER | {"pool": "prefork", "hostname": "same", "pid": os.getpid()}
    parent, reading, writing = Parent(), *os.pipe()
    own, other = Registration(here | {"name": "own"}), Registration(here | {"name": "other"})
    parent.is_registered(own.id)
    assert parent.row() is None, "it is no child of its own"
    child = os.fork()
    if not child:  # nothing of the test is to be run twice, whatever happens
        try:
            os.write(writing, f"{child_engine(parent).registration.description}".encode())
        finally:
            os._exit(0)
    try:
        os.close(writing)
        said = os.read(reading, 65536).decode()
        os.waitpid(child, 0)
        assert f"'parent': {own.id}" in said
        assert "'name': 'own'" in said
    finally:
        os.close(reading)
        own.leave()
        other.leave()


@pytest.mark.parametrize("question", [attrgetter("held"), methodcaller("hang_up")], ids=["held", "hang_up"])
def test_a_session_that_is_let_go_while_somebody_asks_for_it_is_no_error(
    registered: Registration, monkeypatch: pytest.MonkeyPatch, question: Callable[[Registration], object]
) -> None:
    """Other threads ask: a watchdog that met an error by it would see to no deadline any more."""
    lost = registered.connection

    class Losing:
        """The connection, gone as soon as somebody has looked at it."""

        def __get__(self, owner: Registration, kind: type) -> object:
            vars(owner)["asked_for"] = vars(owner).get("asked_for", 0) + 1
            return lost if vars(owner)["asked_for"] == 1 else None

    with monkeypatch.context() as patch:
        patch.setattr(Registration, "connection", Losing(), raising=False)
        patch.setattr(registered, "asked", 0.0)
        del vars(registered)["connection"]
        assert question(registered) in (True, None)
    registered.connection = lost
