"""The greenlets of a worker's tasks: whatever becomes of one, its slot is free afterwards."""

from types import SimpleNamespace
from typing import Any, ClassVar

import gevent
import pytest
from celery import current_app
from celery.fixups.django import DjangoFixup
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections
from django.db.utils import load_backend

from jobs.worker.admission import Admission
from jobs.worker.greenlets import Greenlets
from jobs.worker.task_connections import Kept as KeptSession
from jobs.worker.task_connections import keep_connections


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are made as in a gevent worker."""
    for connection_handler in (connections, caches):
        monkeypatch.setattr(connection_handler, "create_connection", connection_handler.create_connection)
    keep_connections(SimpleNamespace(_fixups=[]), 4)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("options", "is_kept"), [({}, True), ({"pool": {"max_size": 8}}, False)])
def test_what_has_a_pool_of_its_own_keeps_no_sessions(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], is_kept: bool) -> None:
    """Whoever waits in that pool would wait for a session that never comes back to it."""
    monkeypatch.setitem(connections.databases, "pooled", connections.databases["default"] | {"OPTIONS": options})
    assert isinstance(connections.create_connection("pooled"), KeptSession) is is_kept


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("own", "is_kept"),
    [
        (("close",), True),
        (("get_new_connection",), True),
        (("get_new_connection", "close"), False),
        (("get_new_connection", "_close"), False),
    ],
)
def test_a_backend_with_a_pool_keeps_its_sessions_itself(monkeypatch: pytest.MonkeyPatch, own: tuple[str, ...], is_kept: bool) -> None:
    """Its close() may leave the connection to its _close(): two tasks would share one session."""
    made = load_backend("django.db.backends.postgresql").DatabaseWrapper
    monkeypatch.setitem(connections.databases, "pooled", connections.databases["default"] | {"OPTIONS": {}, "ENGINE": "backend"})
    backend = type("DatabaseWrapper", (made,), {name: lambda self, *words: None for name in own} | {"__module__": "backend.base"})
    for name in own:
        getattr(backend, name).__module__ = "backend.base"
    monkeypatch.setattr("django.db.utils.load_backend", lambda name: SimpleNamespace(DatabaseWrapper=backend))
    assert isinstance(connections.create_connection("pooled"), KeptSession) is is_kept


class Pool:
    """What is there of Celery's pool, and what it was told."""

    def __init__(self, size: int = 1) -> None:
        self.admission = Admission(size)
        self.accepted: list[int] = []
        self.returned: list[Any] = []
        self.on_apply: Any = None
        self.terminate_job: Any = None
        self._pool: Any = None
        Greenlets(self.admission).serve(self)

    def run(self, target: Any, *args: Any) -> Any:
        """As Celery does."""
        return self.on_apply(
            target, args, {}, waitforslot=True, callbacks_propagate=(), callback=self.returned.append,
            accept_callback=lambda pid, when: self.accepted.append(pid), timeout_callback=None, timeout=3,
        )  # fmt: skip


def test_as_many_slots_as_there_are_now_are_counted() -> None:
    """Celery before 5.7 asks what its own pool would be here for its length, after `pool_grow` and `pool_shrink`."""
    pool = Pool(2)
    pool.admission.size = 3
    assert len(pool._pool) == 3


def test_a_task_has_a_slot_until_it_ends() -> None:
    pool = Pool()
    greenlet = pool.run(lambda value: (0, value, 0.0), 7)
    assert pool.admission.free == 0
    pool._pool.join()
    assert (pool.accepted, pool.returned) == ([id(greenlet)], [(0, 7, 0.0)])
    gevent.sleep(0)
    assert pool.admission.free == 1
    assert not pool._pool.running


def test_one_that_is_terminated_is_told_as_celery_tells_it() -> None:
    pool = Pool()
    greenlet = pool.run(gevent.sleep, 60)
    gevent.sleep(0.01)
    pool.terminate_job(id(greenlet), 15)
    greenlet.terminate(15)
    assert greenlet.terminated
    assert pool.returned == [(False, None, None)]
    gevent.sleep(0)
    assert pool.admission.free == 1


def test_one_that_is_terminated_before_it_began_frees_its_slot() -> None:
    pool = Pool()
    greenlet = pool.run(gevent.sleep, 60)
    pool.terminate_job(id(greenlet))
    gevent.sleep(0.01)
    assert (pool.accepted, pool.admission.free, pool._pool.running) == ([], 1, {})
    pool.terminate_job(id(greenlet))  # once more: it is gone


class Kept(LocMemCache):
    """A cache that says when it is closed."""

    closed: ClassVar[list[str]] = []

    def __init__(self, name: str, params: Any) -> None:
        super().__init__(name, params)
        self.name = name

    def close(self, **_: Any) -> None:
        self.closed.append(self.name)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[str]:
    """The caches that were closed, by their names in the settings."""
    settings.CACHES = {name: {"BACKEND": f"{__name__}.Kept", "LOCATION": name} for name in ("default", "b")}
    monkeypatch.setattr(Kept, "closed", [])
    monkeypatch.setattr(connections, "create_connection", connections.create_connection)
    monkeypatch.setattr(caches, "create_connection", caches.create_connection)
    return Kept.closed


def fixup() -> Any:
    """Celery's for Django, as a worker leaves it."""
    found = DjangoFixup(current_app._get_current_object())
    keep_connections(SimpleNamespace(_fixups=[found]), 1)
    return found.worker_fixup


def test_a_tasks_own_caches_are_closed_after_it(closed: list[str]) -> None:
    pool, django = Pool(3), fixup()

    def task(*names: str) -> Any:
        for name in names:
            caches[name].set("a", 1)
        django.close_cache()
        return 0, None, 0.0

    pool.run(task)
    pool.run(task, "b")
    pool._pool.join()
    assert closed == ["b"]


def test_caches_opened_outside_of_tasks_are_closed_after_each(closed: list[str]) -> None:
    django = fixup()
    caches["default"].set("a", 1)
    pool = Pool(2)

    def task() -> Any:
        caches["default"].get("a")
        django.close_cache()
        return 0, None, 0.0

    pool.run(task)
    pool.run(task)
    pool._pool.join()
    assert closed == ["default", "default"]


def test_caches_that_closing_does_nothing_to_are_left_alone(closed: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's checks open all of them before a worker starts."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    caches["default"].set("a", 1)
    django = fixup()
    monkeypatch.setattr("django.core.cache.close_caches", lambda: closed.append("all"))
    pool = Pool()

    def task() -> Any:
        caches["default"].get("a")
        django.close_cache()
        return 0, None, 0.0

    pool.run(task)
    pool._pool.join()
    assert not closed
