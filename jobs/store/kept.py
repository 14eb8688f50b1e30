"""A driver's cursor that is kept with a connection. What it executes often and outside transactions, PostgreSQL reads and plans once.

To read and plan one INSERT of a job takes PostgreSQL 65 of the 430 microseconds of an `enqueue()`. A prepared statement may be gone all the
same: somebody has said DISCARD ALL, or a pooler has given this client another session. Outside a transaction such an error
undoes nothing, so the statement is executed as it is then; in a transaction it always is.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import count
from typing import Any, Final

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from jobs.conf import configuration

OFTEN: Final = 5  # executions over one connection before it is prepared, as psycopg 3 has it
MOST: Final = 16  # statements that are prepared over one connection
_NEVER: Final = -1
_LONGEST: Final = 10_000  # bytes: a cursor that remembers a longer statement is not used again
# It is gone, or it was planned for columns of another type than they have now.
_STALE: Final = (psycopg2.errors.InvalidSqlStatementName, psycopg2.errors.FeatureNotSupported)
_gone: list[str] = []  # what was said when one was gone: then this process prepares no more


class KeptCursor:
    """For one thread at a time."""

    def __init__(self, make: Callable[[], Any], connection: Any) -> None:
        """`make` makes a cursor of the connection."""
        self.connection, self._make = connection, make
        self._cursor: Any = None
        self._uses: dict[str, int] = {}  # OFTEN: prepared

    def first_row(self, statement: str, values: Sequence[Any]) -> Any:
        """Execute it; the first row of the answer, None where there is none. Raises psycopg2.Error."""
        if self._cursor is None:
            self._cursor = self._make()
        cursor = self._cursor
        try:
            if not self._execute_prepared(cursor, statement, values):
                cursor.execute(statement, values)
            return cursor.fetchone() if cursor.description else None
        finally:
            if len(cursor.query or ()) >= _LONGEST:
                self._cursor = None

    def _execute_prepared(self, cursor: Any, statement: str, values: Sequence[Any]) -> bool:
        """False: the statement is to be executed as it is."""
        connection = self.connection
        if _gone or not connection.autocommit or connection.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            return False
        if self._uses.get(statement) != OFTEN and not self._prepare(cursor, statement):
            return False
        try:
            cursor.execute(_texts(statement)[1], values)
        except _STALE as error:
            _gone.append(str(error))
            return False
        return True

    def _prepare(self, cursor: Any, statement: str) -> bool:
        """Whether it is prepared now; it is when it was executed often before."""
        uses = self._uses.get(statement, 0)
        if uses == _NEVER or configuration().database_direct_url:
            return False
        self._uses[statement] = uses + 1
        if uses + 1 < OFTEN:
            return False
        try:
            if sum(each == OFTEN for each in self._uses.values()) > MOST:
                self._uses[statement] = _NEVER
            else:
                cursor.execute(_texts(statement)[0])
        except psycopg2.errors.DuplicatePreparedStatement:
            pass  # a pooler's session, and another client did it: the name stands for this very statement
        except psycopg2.ProgrammingError:
            self._uses[statement] = _NEVER
        return self._uses[statement] == OFTEN


@lru_cache(maxsize=256)
def _texts(statement: str) -> tuple[str, str]:
    """What prepares a statement with placeholders, and what executes it."""
    name, numbers = f"jobs_{sha256(statement.encode()).hexdigest()[:16]}", count(1)
    first, *rest = statement.replace("%%", "%").split("%s")
    body = first + "".join(f"${next(numbers)}{piece}" for piece in rest)
    return f"PREPARE {name} AS {body}", f"EXECUTE {name}" + (f" ({', '.join(['%s'] * len(rest))})" if rest else "")
