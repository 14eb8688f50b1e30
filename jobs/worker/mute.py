"""Connections over which no answer comes: something on the way has forgotten them, and who waits for it would wait for ever."""

import _socket
import logging
import time
from contextlib import suppress
from typing import Any, Final

from psycopg2 import InterfaceError

logger = logging.getLogger("jobs.worker")
MUTE_S: Final = 10.0  # that an answer may take
SLOWEST: Final = 1_000_000  # characters a second that get through at least


def cut(connection: Any) -> None:
    """Whoever waits for an answer over it hears at once that there is none. From any thread, never waits."""
    with suppress(OSError, InterfaceError):  # it was closed meanwhile
        line = _socket.socket(fileno=_socket.dup(connection.fileno()))
        line.shutdown(_socket.SHUT_RDWR)
        line.close()


class Patience:
    """With connections over which PostgreSQL answers soon or not at all: what it is asked waits for no lock."""

    def __init__(self) -> None:
        self._until: dict[Any, float] = {}  # time.monotonic()

    def begin(self, connection: Any, characters: int = 0) -> None:
        """So many are sent over it now."""
        self._until[connection] = time.monotonic() + MUTE_S + characters / SLOWEST

    def end(self, connection: Any) -> None:
        """It has answered, or failed."""
        if self._until.pop(connection, None) is None:
            logger.warning("PostgreSQL has not answered for %s s over one connection; it was cut, what was sent is sent again", MUTE_S)

    def hang_up(self) -> None:
        """Cut those whose answers have not come in time. From any thread, never waits."""
        now = time.monotonic()
        for connection, until in list(self._until.items()):
            if now > until and self._until.pop(connection, None) is not None:
                cut(connection)
