"""Waiting for results: `get()`, `join()` and what Celery builds on them."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg2
from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import TimeoutError
from celery.result import AsyncResult, GroupResult, ResultSet
from django.db import connections

from jobs.conf import configuration
from jobs.domain.errors import NotCommitted
from jobs.store import results

LOOK = 1.0  # seconds after which a waiter looks at the rows although nothing was told


class Waiting(BaseBackend):
    """The part of the result backend that waits."""

    is_async = True  # a group calls what waits for it with `then`

    def read(self, task_ids: Iterable[str], cursor: Any = None) -> dict[str, dict[str, Any]]:
        """The metas of these ids."""
        raise NotImplementedError

    def wait_for_pending(
        self, result: Any, timeout: float | None = None, interval: float = 0.5, no_ack: bool = True, on_message: Any = None,
        on_interval: Any = None, callback: Any = None, propagate: bool = True,
    ) -> Any:  # fmt: skip
        """The result's value once its job has ended. `on_message` is called with each meta that is told meanwhile."""
        self._ensure_not_eager()
        found = self.wait_for(result.id, timeout=timeout, interval=interval, on_interval=on_interval, on_message=on_message)
        result._maybe_set_cache(found)
        return result.maybe_throw(propagate=propagate, callback=callback)

    def wait_for(
        self, task_id: str, timeout: float | None = None, interval: float = 0.5, no_ack: bool = True, on_interval: Any = None,
        on_message: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Wait until the job has ended; at most `timeout` seconds (None: for ever). Raises TimeoutError.

        `on_interval` is called once more before the answer: a failed header and the error of its chord's body become visible
        in the same moment, and people expect the header's.
        """
        self._ensure_not_eager()
        for _, found in self._wait([task_id], timeout, interval, on_interval, on_message):
            return found
        raise TimeoutError("The operation timed out.")

    def iter_native(
        self, result: Any, timeout: float | None = None, interval: float = 0.5, no_ack: bool = True, on_message: Any = None,
        on_interval: Any = None,
    ) -> Iterator[tuple[str, Any]]:  # fmt: skip
        """(task_id, meta) of each result of a group as it ends. Raises TimeoutError.

        Where a task before the group has failed, the group has no jobs, and its failure stands for each of their results.
        """

        def check() -> None:
            failed = _failed_parent(result)
            if failed is not None:
                raise _NeverSent(failed)
            if on_interval is not None:
                on_interval()

        self._ensure_not_eager()
        left = {str(one.id) for one in result.results}
        own = {str(one.id): one for one in result.results if isinstance(one, AsyncResult)}
        try:
            failed = _failed_parent(result)
            if failed is not None:
                raise _NeverSent(failed)
            for one in result.results:
                if isinstance(one, ResultSet):
                    left.discard(str(one.id))
                    yield one.id, one.results
            for task_id, found in self.get_many(
                set(left), timeout, interval, on_message=on_message, on_interval=check, also=getattr(result, "id", None)
            ):
                left.discard(task_id)
                if task_id in own:
                    own[task_id]._maybe_set_cache(found)  # what waits for it with `then` is called
                yield task_id, found
        except _NeverSent as before:
            for task_id in left:
                yield task_id, before.meta

    def get_many(
        self, task_ids: Iterable[str], timeout: float | None = None, interval: float = 0.5, no_ack: bool = True, on_message: Any = None,
        on_interval: Any = None, max_iterations: int | None = None, also: str | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:  # fmt: skip
        """(task_id, meta) of each as it ends. Raises TimeoutError. `also`: an id whose end calls `on_interval` at once."""
        left = set(task_ids)
        for task_id, found in self._wait(left, timeout, interval, on_interval, on_message, also):
            left.discard(task_id)
            yield task_id, found
        if left:
            raise TimeoutError(f"Operation timed out ({timeout})")

    def _wait(
        self, task_ids: Iterable[str], timeout: float | None, interval: float | None, on_interval: Any, on_message: Any,
        also: str | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:  # fmt: skip
        """Those that end within `timeout` seconds, one by one."""
        end = None if timeout is None else time.monotonic() + timeout
        left = {str(task_id) for task_id in task_ids}
        yield from self._ended(self.read(left), left, on_interval, on_message)
        pause = min(interval or LOOK, LOOK)
        while left and (end is None or time.monotonic() < end):
            try:
                with results.waiting(left | {also} if also else left) as waiter:
                    self._refuse_uncommitted(left, waiter.cursor)
                    ready = list(self._ended(self.read(left, waiter.cursor), left, on_interval, on_message))
                    while not ready and (end is None or time.monotonic() < end):
                        told = waiter.sleep(pause if end is None else min(pause, max(end - time.monotonic(), 0)))
                        wanted = {task_id for task_id in left if results.named(task_id) in told} if told else left
                        ready = list(self._ended(self.read(wanted, waiter.cursor), left, on_interval, on_message if told else None))
                        if on_interval is not None and not ready:
                            on_interval()
            except psycopg2.OperationalError:  # PostgreSQL is away: so is the answer
                time.sleep(0.1)
                continue
            yield from ready

    def _ended(
        self, found: dict[str, dict[str, Any]], left: set[str], on_interval: Any, on_message: Any
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for task_id, one in found.items():
            ready = one["status"] in states.READY_STATES
            if on_message is not None and one["status"] != states.PENDING:
                on_message(one)
            if ready:
                left.discard(task_id)
                if on_interval is not None:
                    on_interval()
                yield task_id, one

    def _refuse_uncommitted(self, task_ids: Iterable[str], cursor: Any) -> None:
        connection = connections[configuration().database]
        if not connection.in_atomic_block:
            return
        wanted = list(task_ids)
        with connection.cursor() as own:
            here = results.read(own, wanted)
        if set(here) - set(results.read(cursor, wanted)):
            raise NotCommitted


class _NeverSent(Exception):
    """A task before the group has failed."""

    def __init__(self, meta: dict[str, Any]) -> None:
        super().__init__()
        self.meta = meta


def _failed_parent(result: Any) -> dict[str, Any] | None:
    """The meta of a task before the group that has failed; such a group has no jobs."""
    node = result.parent if isinstance(result, GroupResult) else None
    while node is not None:
        if isinstance(node, AsyncResult) and node.state in states.PROPAGATE_STATES:
            return {"status": node.state, "result": node.result}
        node = node.parent
    return None
