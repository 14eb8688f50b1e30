"""The coroutine of a task: in an event loop and a thread of its own, while the run itself waits for its end.

Greenlets share one thread, where asyncio lets one loop run at a time; and an exception that is thrown into a run reaches it only where no
loop is in between. What the coroutine calls by `sync_to_async`, Django's queries among it, runs in the run's own greenlet or thread, over
its own connections.
"""

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextlib import suppress
from contextvars import copy_context
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, ThreadSensitiveContext

P = ParamSpec("P")
T = TypeVar("T")
EACH_S: Final = 0.25  # an exception that is thrown into a thread is met between two waits


def run(function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the coroutine returns, once it has ended.

    Whatever is thrown into the run meanwhile (its time is over, it was cancelled) cancels the coroutine, each time anew, and is raised
    when that has ended: its next attempt never runs beside it.
    """
    monkey = sys.modules.get("gevent.monkey")
    is_green = monkey is not None and monkey.is_module_patched("threading")
    calls: Any = _CallsOfGreenlet() if is_green else _Calls()
    running = _Running(partial(function, *args, **kwargs), calls)
    (_in_gevents_thread if is_green else _in_a_thread)(partial(copy_context().run, running))
    thrown: BaseException | None = None
    while True:
        try:
            call = calls.get()
            if call is None:
                break
            call()
        except BaseException as error:  # thrown into the run
            thrown = error
            running.cancel()
    wrong = running.error if thrown is None else thrown
    try:
        if wrong is not None:  # one may be false, as an empty collection of errors is
            raise wrong
        return running.value
    finally:
        del running, thrown, wrong  # the traceback of an error leads back here


class _Running:
    """Called in the thread of the coroutine."""

    def __init__(self, function: Callable[[], Coroutine[Any, Any, Any]], calls: Any) -> None:
        self.function, self.calls = function, calls
        self.task: asyncio.Task[Any] | None = None
        self.is_cancelled = False
        self.value: Any = None
        self.error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self.value = asyncio.run(self._main())
        except BaseException as error:  # belongs to whoever waits for it
            self.error = error
        finally:
            self.calls.put(None)

    async def _main(self) -> Any:
        self.task = asyncio.current_task()
        if self.is_cancelled:
            raise asyncio.CancelledError
        context = ThreadSensitiveContext()
        SyncToAsync.thread_sensitive_context.set(context)
        SyncToAsync.context_to_thread_executor[context] = self.calls
        return await self.function()

    def cancel(self) -> None:
        """From another thread, at any time."""
        self.is_cancelled = True
        if self.task is not None:
            with suppress(RuntimeError):  # its loop is closed
                self.task.get_loop().call_soon_threadsafe(self.task.cancel)


class _Calls(Executor):
    """What a coroutine wants to be called outside its loop, in its order; None at its end."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def put(self, call: Callable[[], None] | None) -> None:
        self._waiting.put(call)

    def get(self) -> Callable[[], None] | None:
        """The next, when there is one."""
        while True:
            with suppress(Empty):
                return self._waiting.get(timeout=EACH_S)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def call() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:  # belongs to whoever awaits it
                    future.set_exception(error)

        self.put(call)
        return future


class _CallsOfGreenlet(_Calls):
    """The same for a greenlet, which must not keep its thread waiting."""

    def __init__(self) -> None:
        from gevent import get_hub
        from gevent.event import Event

        self._ready: deque[Callable[[], None] | None] = deque()
        self._loop, self._told = get_hub().loop, Event()

    def put(self, call: Callable[[], None] | None) -> None:
        self._ready.append(call)
        self._loop.run_callback_threadsafe(self._told.set)

    def get(self) -> Callable[[], None] | None:
        while not self._ready:
            self._told.wait()
            self._told.clear()
        return self._ready.popleft()


def _in_a_thread(call: Callable[[], None]) -> None:
    threading.Thread(target=call, daemon=True).start()


def _in_gevents_thread(call: Callable[[], None]) -> None:
    _threads().spawn(call)


@cache
def _threads() -> Any:
    """Apart from the hub's own few, which look up names; no more than slots, for a run keeps its slot until its thread is free."""
    from gevent.threadpool import ThreadPool

    return ThreadPool(maxsize=10_000)
