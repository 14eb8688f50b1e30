"""The caller's own connection and transaction, also where a coroutine calls.

Django refuses queries in a coroutine, since two of them could share a transaction. Celery's calls are allowed there, and so are
these: they await nothing and are committed at once, over a connection of the thread that no other code uses.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from django.db import connections, transaction

from jobs.conf import configuration
from jobs.store import short

_NOTHING: Final = nullcontext()


def cursor() -> AbstractContextManager[Any]:
    """A cursor in the caller's transaction."""
    return _in_a_coroutine() if is_in_a_coroutine() else _own().cursor()


def first_row(statement: str, values: Sequence[Any]) -> Any:
    """Execute in the caller's transaction; the first row of the answer, None where there is none."""
    with _outside() if is_in_a_coroutine() else _NOTHING:
        return short.first_row(_own(), statement, values)


@contextmanager
def atomic() -> Iterator[Any]:
    """A cursor in a transaction of its own, or in a savepoint of the caller's."""
    with _outside() if is_in_a_coroutine() else _NOTHING, transaction.atomic(using=configuration().database), _own().cursor() as own:
        yield own


def is_in_a_coroutine() -> bool:
    """Whether the caller has no connection and no transaction of its own here."""
    return asyncio._get_running_loop() is not None and _may_step_out()


def _own() -> Any:
    return connections[configuration().database]


def _may_step_out() -> bool:
    """Not where the caller has allowed his own queries, which this would leave the transaction of; nor where greenlets share the thread."""
    gevent = sys.modules.get("gevent.monkey")
    return not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE") and not (gevent and gevent.is_module_patched("threading"))


@contextmanager
def _in_a_coroutine() -> Iterator[Any]:
    with _outside(), _own().cursor() as own:
        yield own


@contextmanager
def _outside() -> Iterator[None]:
    """As if no loop ran in this thread. Nobody else looks after the connection here, so that is done before and after."""
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        _own().close_if_unusable_or_obsolete()
        yield
    finally:
        _own().close_if_unusable_or_obsolete()
        asyncio._set_running_loop(loop)
