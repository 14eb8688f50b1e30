"""Room for one more message, by what Celery knows of the tasks that are here."""

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from jobs.worker.fetching_elsewhere import Waker, has_room, multiplier


class Request:
    """What Celery keeps in its sets."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    made = [Request() for _ in range(4)]
    monkeypatch.setattr(state, "reserved_requests", set(made[:3]))
    monkeypatch.setattr(state, "active_requests", set(made[:2]))
    return made


def test_what_runs_counts_once(requests: list[Request]) -> None:
    assert [has_room(most) for most in (2, 3, 4)] == [False, False, True]


def test_what_runs_counts_also_where_celery_has_forgotten_that_it_was_reserved(requests: list[Request]) -> None:
    state.reserved_requests.clear()
    assert [has_room(most) for most in (2, 3)] == [False, True]


@pytest.mark.parametrize(("asked", "found"), [(0, 1), (1, 1), ("4", 4)])
def test_no_limit_is_the_least(asked: object, found: int) -> None:
    assert multiplier(SimpleNamespace(prefetch_multiplier=asked)) == found


def test_the_loop_is_woken_by_ends_in_other_threads_only() -> None:
    def on_apply(target: Any, callback: Any, error_callback: Any) -> Any:
        assert error_callback is None  # as it was given
        return callback

    waker = Waker(pool := SimpleNamespace(on_apply=on_apply))
    told = pool.on_apply("target", callback=lambda result: f"heard {result}", error_callback=None)
    assert told("here") == "heard here"
    with pytest.raises(BlockingIOError):
        os.read(waker.reader, 1)
    thread = threading.Thread(target=told, args=("elsewhere",))
    thread.start()
    thread.join()
    assert os.read(waker.reader, 1) == b"\0"
    waker.drain()  # of nothing


def inode(descriptor: int) -> int | None:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


def test_the_pipe_is_closed_with_the_pool() -> None:
    waker = Waker(pool := SimpleNamespace(on_apply=lambda: None))
    pipe = {descriptor: inode(descriptor) for descriptor in (waker.reader, waker.writer)}
    assert None not in pipe.values()
    pool.on_apply = None
    del waker
    assert [descriptor for descriptor, before in pipe.items() if inode(descriptor) == before] == []
