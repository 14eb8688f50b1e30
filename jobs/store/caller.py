"""The caller's own connection and transaction, also where a coroutine calls.

Django refuses queries in a coroutine, since two of them could share a transaction. Celery's calls are allowed there, and so are
these: they await nothing and are committed at once, over a connection of the thread that no other code uses.

Django lets a lost session go when a request ends. A consumer, a bot or beat has no requests, so that is done here, outside of
transactions; in one the error is the caller's. Where it cannot do a thing twice, what was lost is tried again at once.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, TypeVar

from django.db import InterfaceError, OperationalError, connections, transaction

from jobs.conf import configuration
from jobs.store import loops, short

T = TypeVar("T")
_NOTHING: Final = nullcontext()
_LOST: Final = (OperationalError, InterfaceError)


def own() -> Any:
    """The caller's connection of Django's, without a session that was found to be lost."""
    db = connections[configuration().database]
    if db.errors_occurred:
        _let_go(db)
    return db


def cursor() -> AbstractContextManager[Any]:
    """A cursor in the caller's transaction."""
    return _in_a_coroutine() if is_in_a_coroutine() else own().cursor()


def first_row(statement: str, values: Sequence[Any], again: Callable[[], str] | None = None) -> Any:
    """Execute in the caller's transaction; the first row of the answer, None where there is none. Not in a coroutine, as Django has it.

    `again`: the statement for a second try with the same values. The first may have been committed, though its answer was lost.
    """
    db = own()
    try:
        return short.first_row(db, statement, values)
    except _LOST:
        if again is None or db.connection is None or not _let_go(db):
            raise
    return short.first_row(db, again(), values)


def first_row_anywhere(statement: str, values: Sequence[Any], again: Callable[[], str] | None = None) -> Any:
    """The same, in a coroutine too."""
    with _outside() if is_in_a_coroutine() else _NOTHING:
        return first_row(statement, values, again)


def ask(question: Callable[[Any], T]) -> T:
    """What a question finds, or a change that may be made twice, with a cursor in the caller's transaction."""
    with _outside() if is_in_a_coroutine() else _NOTHING:
        db = own()
        try:
            return _asked(db, question)
        except _LOST:
            if db.connection is None or not _let_go(db):
                raise
        return _asked(db, question)


def whole(change: Callable[[Any], T], made: list[bool] | None = None) -> T:
    """What a change answers that is given a cursor in a transaction of its own, or in a savepoint of the caller's: all of it or nothing.

    It is made again when its session was lost before the COMMIT. A change that can be made only once puts something into `made` first.
    """
    made = [] if made is None else made
    with _outside() if is_in_a_coroutine() else _NOTHING:
        db = own()
        before = db.connection if db.autocommit and not db.in_atomic_block else None
        try:
            return _whole(db, change, made)
        except _LOST:
            if made or before is None or (db.connection is before and not _let_go(db)):  # Django may have replaced it already
                raise
        return _whole(db, change, made)


def is_in_a_coroutine() -> bool:
    """Whether the caller has no connection and no transaction of its own here."""
    return asyncio._get_running_loop() is not None and loops.runs_here() and _may_step_out()


def _asked(db: Any, question: Callable[[Any], T]) -> T:
    with db.cursor() as cursor:
        return question(cursor)


def _whole(db: Any, change: Callable[[Any], T], made: list[bool]) -> T:
    with transaction.atomic(using=db.alias), db.cursor() as cursor:
        answer = change(cursor)
        made.append(True)
    return answer


def _let_go(db: Any) -> bool:
    """Whether its session is lost, and no transaction of the caller's with it; then the next use makes another."""
    if db.connection is None or db.in_atomic_block or not db.autocommit:
        return False
    if db.is_usable():
        db.errors_occurred = False  # or each use would look again
        return False
    db.close()
    return True


def _may_step_out() -> bool:
    """Not where the caller has allowed his own queries, which this would leave the transaction of; nor where greenlets share the thread,
    unless their loops are told apart.
    """
    gevent = sys.modules.get("gevent.monkey")
    is_alone = not (gevent and gevent.is_module_patched("threading")) or loops.are_told_apart()
    return is_alone and not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")


@contextmanager
def _in_a_coroutine() -> Iterator[Any]:
    with _outside(), own().cursor() as cursor:
        yield cursor


@contextmanager
def _outside() -> Iterator[None]:
    """As if no loop ran here. Nobody else looks after the connection, so that is done before and after."""
    with loops.outside():
        try:
            _look_after()
            yield
        finally:
            _look_after()


def _look_after() -> None:
    """Not in a transaction, which whoever has started the loop has begun: Django would close it."""
    db = connections[configuration().database]
    if db.autocommit and not db.in_atomic_block:
        db.close_if_unusable_or_obsolete()
