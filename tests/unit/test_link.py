"""The leader's link asks as often as it loses Redis."""

import threading
from typing import Any

import pytest
import redis
from celery import current_app

from jobs.leader.link import Link
from tests.waiting import until


def test_it_needs_no_thread_that_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be none to be had, at a limit of processes, in the moment in which Redis is lost."""

    def start(thread: Any) -> None:
        raise RuntimeError("can't start new thread")

    link = Link(current_app.conf)
    try:
        monkeypatch.setattr(threading.Thread, "start", start)
        for _ in range(3):
            until(lambda: link.is_open, timeout=10)
            link.lost(redis.ConnectionError("gone"))
            assert not link.is_open
    finally:
        monkeypatch.undo()
        link.close()


def test_its_thread_ends_with_it() -> None:
    before = set(threading.enumerate())
    link = Link(current_app.conf)
    (asking,) = set(threading.enumerate()) - before
    until(lambda: link.is_open, timeout=10)
    link.close()
    asking.join(10)
    assert not asking.is_alive()
