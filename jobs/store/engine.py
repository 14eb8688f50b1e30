"""Engine connections: apart from the tasks' own, direct, autocommit, READ COMMITTED."""

import inspect
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, Final, Protocol
from weakref import WeakSet

import psycopg2
from django.db import connections
from psycopg2.extensions import TRANSACTION_STATUS_INERROR

from jobs.conf import configuration
from jobs.store.canvas import Part
from jobs.store.insert import NewJob
from jobs.store.transitions import Failure, Run

# Read-only: a former primary, or one whose disk someone is looking after; either way another connection may be better.
LOST: Final = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.ReadOnlySqlTransaction)
LOCKED: Final = (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected)  # by somebody else
PASSING: Final = (*LOCKED, psycopg2.errors.QueryCanceled, psycopg2.errors.OutOfMemory)  # refused for a moment; the connection serves on
# SQLSTATEs that only other values would change: wrong ones, those that break a constraint or a limit, of a type that does not fit; and
# whatever comes after such an error in its transaction. All else (rights, a table that is away, what a trigger says) may pass.
_OF_VALUES: Final = ("22", "23", "54", "42804", "42846", "42883", "25P02")
_ENDED: Final = ("25P03", "25P04")  # sessions, by a time limit of transactions
# What the database or the role says of isolation is for others: here a row that somebody changed meanwhile is read anew. So is what it
# says of literals and numbers: a NULL in an array would be a text, a moment would lose its seconds. Not of backslashes, for psycopg2
# writes texts as the session began: our own literals have none but in E''. Keepalive on the server's side too: else the locks of a host
# that is gone are held until Linux's own, two hours.
_SESSION: Final = """SET default_transaction_isolation = 'read committed'; SET array_nulls = on; SET transform_null_equals = off;
SET extra_float_digits = 1; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = 11000"""
opened: Final[WeakSet[Any]] = WeakSet()  # the engine connections of this process


class Engine(Protocol):
    """How a process that runs jobs moves its rows. Every method keeps trying until PostgreSQL has answered."""

    green: bool  # its tasks run in greenlets
    alone: bool  # in threads of the worker itself (threads, solo): no part of Celery ends one of them
    registration: Any
    worker_id: int
    held: dict[int, Any]
    ending: dict[Run, Any]  # whose hooks after the body run just now
    unwritten: dict[Run, Failure]  # without an end that could be written, and how they failed: the watch takes them away

    @property
    def unbegun(self) -> set[Run]: ...

    def claim(self, run: Run, task_id: str, queue: str, priority: int) -> bool: ...

    def take_back(self, run: Run) -> bool: ...

    def complete(self, run: Run, result: str | None) -> bool: ...

    def complete_counted(self, run: Run, result: str | None, part: Part, body: Callable[[Any], bool]) -> bool: ...

    def complete_linked(self, run: Run, *, result: str | None, meta: str | None, new: NewJob, written: Callable[[Any], bool]) -> bool: ...

    def write(
        self,
        change: Callable[[Any], Any],
        *,
        single: bool = False,
        written: Callable[[Any], Any] | None = None,
        doubt: bool = False,
        job: int | None = None,
    ) -> Any: ...

    def close(self) -> None: ...


def is_transient(error: BaseException) -> bool:
    """Whether the same change may succeed later; otherwise its values are at fault."""
    if not isinstance(error, psycopg2.Error):
        return False
    if error.pgcode is None:  # psycopg2 says so itself: of a connection, or of a value that it cannot send
        return _is_garbled(error) or isinstance(error, LOST)
    return not error.pgcode.startswith(_OF_VALUES)


def _is_garbled(error: BaseException) -> bool:
    """Whether the connection broke in the middle of an answer."""
    return type(error) is psycopg2.DatabaseError and error.pgcode is None


def is_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more, not merely a statement refused."""
    cut = _is_garbled(error) or isinstance(error, LOST) or getattr(error, "pgcode", None) in _ENDED
    return cut and is_transient(error) and not isinstance(error, PASSING)


def unless_locked(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same change of a transaction, but it answers False where somebody keeps a row of it locked: for those who may not wait."""

    def changed(cursor: Any) -> Any:
        cursor.execute("SET LOCAL lock_timeout = '200ms'")
        try:
            return change(cursor)
        except psycopg2.errors.LockNotAvailable:
            return False

    return changed


def unless_refused(change: Callable[[Any], Any], tell: Callable[[psycopg2.Error], None]) -> Callable[[Any], Any]:
    """The same change, but it answers False to a refusal that may last, and tells it: for whoever may wait for no trigger and no right."""

    def changed(cursor: Any) -> Any:
        try:
            return change(cursor)
        except psycopg2.Error as error:
            if is_lost(error) or isinstance(error, PASSING):
                raise
            tell(error)
            return False

    return changed


def answer(cursor: Any, change: Callable[[Any], Any], written: Callable[[Any], Any] | None, doubt: bool) -> Any:
    """What `change` answers. Refused, and in doubt whether an earlier try was committed, `written` says whether it was, unless that
    cannot be asked: a change may have met an error of PostgreSQL's, and answer False to it.
    """
    found = change(cursor)
    if not doubt or written is None or found or cursor.connection.info.transaction_status == TRANSACTION_STATUS_INERROR:
        return found
    return written(cursor)


def connect(application_name: str, *, as_role: bool = True) -> Any:
    """A new engine connection, in the role that Django assumes too. Raises psycopg2.OperationalError when the server is away.

    Not `as_role`: in that of its login, to which alone PostgreSQL shows what this login's other sessions do, and lets it end them.
    """
    direct = configuration().database_direct_url
    common: dict[str, Any] = {
        "application_name": application_name,
        "client_encoding": "utf8",  # as Django's, whatever PGCLIENTENCODING or the role says
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 11_000,  # milliseconds until a host that is gone is noticed when something was sent
    }
    if direct:
        connection = _plain_connect()(direct, **common)
    else:
        given = connections[configuration().database].get_connection_params()
        connection = _plain_connect()(**(of_libpq(given) | common))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
        if as_role:
            assume_role(connection)
    except BaseException:
        connection.close()
        raise
    opened.add(connection)
    return connection


def _plain_connect() -> Callable[..., Any]:
    """psycopg2's own, out of the objects that tracing libraries (OpenTelemetry, ddtrace) wrap around it: the engine's statements are part
    of nobody's trace. A function that the project has put in its place stays.
    """
    return inspect.unwrap(psycopg2.connect, stop=lambda function: type(function) is FunctionType)


def of_libpq(given: dict[str, Any]) -> dict[str, Any]:
    """Of Django's parameters for a connection, those that libpq knows: others are psycopg's, or of a backend of the project's."""
    return {name: value for name, value in given.items() if _is_of_libpq(name)}


@cache
def _is_of_libpq(name: str) -> bool:
    try:
        psycopg2.extensions.make_dsn(**{name: "1"})
    except psycopg2.ProgrammingError:
        return False
    return True


def assume_role(connection: Any) -> None:
    """Take the role of OPTIONS["assume_role"] (Django's), if there is one: that of the login may have no rights of its own."""
    role = connections[configuration().database].settings_dict["OPTIONS"].get("assume_role")
    if role:
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE %s", [role])
