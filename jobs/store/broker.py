"""The engine's own Redis clients, apart from kombu's."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

TIMEOUT_S = 3.0  # a half-open connection is noticed after this


def client(url: str, timeout: float = TIMEOUT_S) -> redis.Redis:
    """A client for Celery's broker address, which names a unix socket in a way of its own. It tries nothing twice:
    after `timeout` seconds without an answer it raises redis.RedisError.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout, "socket_connect_timeout": timeout, "health_check_interval": 10, "retry": Retry(NoBackoff(), 0),
    }  # fmt: skip
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        number = int(dict(parse_qsl(parts.query)).get("virtual_host", "0") or 0)
        return redis.Redis(unix_socket_path=parts.path, db=number, username=parts.username, password=parts.password, **options)
    return redis.Redis.from_url(url, socket_keepalive=True, **options)


class Line:
    """One connection of a client, held by whoever asks often: what a client does around a command (its pool, retries, statistics) takes
    several times as long as the command. It connects when it is first used, and again after an error. For one thread.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._connection: Any = client.connection_pool.make_connection()

    def ask(self, *command: Any) -> Any:
        """The answer. Raises redis.RedisError."""
        self._connection.send_command(*command, check_health=False)
        return self._connection.read_response()

    def ask_all(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """The answers, in one way there and back. Raises redis.RedisError; a command that is refused holds up no other."""
        commands = list(commands)
        self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        answers = [self._answer() for _ in commands]
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def close(self) -> None:
        """Disconnect; it can be used again."""
        self._connection.disconnect()

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as refused:
            return refused
