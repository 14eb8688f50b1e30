"""The engine's own Redis clients, apart from kombu's."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import redis
from celery import current_app
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

SCHEMES: Final = ("redis://", "rediss://", "redis+socket://")  # that both kombu and these clients know
TIMEOUT_S = 3.0  # a half-open connection is noticed after this


def of(conf: Any, timeout: float = TIMEOUT_S, *, reading: bool = False) -> redis.Redis:
    """A client for the Redis that these settings of Celery name, over TLS as they say. `reading`: the one that workers read."""
    return client(conf.broker_read_url if reading else conf.broker_write_url, timeout, conf.broker_use_ssl)


def kept(timeout: float) -> Any:
    """This process's own client for the Redis that the settings name now: to make a connection takes longer than most questions."""
    return _kept(current_app.conf.broker_write_url, timeout)


@functools.cache
def _kept(_url: str, timeout: float) -> Any:
    return of(current_app.conf, timeout)


def names_several(url: Any) -> bool:
    """Whether an address of Celery's names more than one server to turn to (failover, Sentinel): the engine knows one."""
    return isinstance(url, list | tuple) or (isinstance(url, str) and (";" in url or url.startswith("sentinel")))


def client(url: str, timeout: float = TIMEOUT_S, ssl: Any = None) -> redis.Redis:
    """A client for Celery's broker address, which names a unix socket in a way of its own. It tries nothing twice:
    after `timeout` seconds without an answer it raises redis.RedisError. `ssl`: options of TLS, unless the address has its own.
    Raises ValueError when it is no address of one Redis.
    """
    if names_several(url):
        raise ValueError("the broker's address names more than one Redis, or a Sentinel; it must be one redis:// or rediss:// address")
    options: dict[str, Any] = {
        "socket_timeout": timeout, "socket_connect_timeout": timeout, "health_check_interval": 10, "retry": Retry(NoBackoff(), 0),
    }  # fmt: skip
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        number = int(dict(parse_qsl(parts.query)).get("virtual_host", "0") or 0)
        return redis.Redis(unix_socket_path=parts.path, db=number, username=parts.username, password=parts.password, **options)
    if isinstance(ssl, dict) and "ssl_" not in parts.query:  # as kombu does
        options |= ssl | {"connection_class": redis.SSLConnection}
    return redis.Redis.from_url(url, socket_keepalive=True, **options)


def is_foreign(error: redis.RedisError) -> bool:
    """Whether a key holds a value of another kind than the command is for."""
    return str(error).startswith("WRONGTYPE")


def foreign_keys(keys: Iterable[str]) -> ResponseError:
    """The same error with the keys, which Redis does not name."""
    return ResponseError(f"WRONGTYPE, somebody has put there what is no list: {', '.join(map(repr, keys))}")


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

    def ask_all(self, commands: Iterable[Sequence[Any]], *, foreign: bool = False) -> list[Any]:
        """The answers, in one way there and back. Raises redis.RedisError; a command that is refused holds up no other.

        `foreign`: the answer is None where the key holds a value of another kind, which somebody else has put there.
        """
        commands = list(commands)
        self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        answers = [self._answer() for _ in commands]
        for place, answer in enumerate(answers):
            if not isinstance(answer, ResponseError):
                continue
            if not is_foreign(answer):
                raise answer
            if not foreign:
                raise foreign_keys([commands[place][1]])
            answers[place] = None
        return answers

    def close(self) -> None:
        """Disconnect; it can be used again."""
        self._connection.disconnect()

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as refused:
            return refused
