"""An insert ends the leader's sleep, whatever the leader does when it is told."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from jobs.leader import dispatch, election
from jobs.leader.load import Load

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asleep() -> Iterator[dispatch.Leader]:
    """A leader that has gone to sleep, over a connection of its own."""
    connection = election.connect()
    try:
        assert election.elect(connection, threading.Event())
        leader = dispatch.Leader(connection, mock.MagicMock(is_open=True), Load(), again=False)
        leader.rescue.live = {1: ["celery"]}
        leader.wait(False)
        assert leader.asleep
        yield leader
    finally:
        connection.close()


def test_what_is_told_with_the_answer_to_a_question_wakes_it(asleep: dispatch.Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notification comes with the answer to when the next job is due. It lies in the connection then, and select would wait."""
    waited: list[float] = []

    def select(reads: list[Any], writes: list[Any], errors: list[Any], seconds: float) -> tuple[list[Any], list[Any], list[Any]]:
        waited.append(seconds)
        return [], [], []

    pause = asleep.pause

    def insert_and_ask() -> float:
        _insert()
        return pause()

    monkeypatch.setattr(asleep, "pause", insert_and_ask)
    monkeypatch.setattr(dispatch, "select", SimpleNamespace(select=select))
    asleep.wait(False)
    assert asleep.is_told
    assert waited == []


def test_what_is_told_while_it_sleeps_wakes_it(asleep: dispatch.Leader) -> None:
    timer = threading.Timer(0.2, _insert)
    timer.start()
    asleep.looked = dispatch.time.monotonic()
    asleep.wait(False)
    timer.join()
    assert asleep.is_told


def test_what_was_told_before_it_goes_to_sleep_is_not_news(asleep: dispatch.Leader) -> None:
    """By then it is looked at, and may have ended: to send it again would be one message too many."""
    asleep.told.is_private = True
    _insert()
    asleep.wake()  # the notification comes with the answer
    assert asleep.connection.notifies
    asleep.wait(False)
    assert asleep.asleep
    asleep.looked = dispatch.time.monotonic()
    asleep.wait(False)
    assert not asleep.is_told
    assert asleep.told.job is None


def _insert() -> None:
    connection = election.connect()
    try:
        connection.cursor().execute("INSERT INTO jobs_job (task) VALUES ('t.add')")
    finally:
        connection.close()
