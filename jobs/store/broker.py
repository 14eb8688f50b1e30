"""The engine's own Redis clients, apart from kombu's."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import redis
from redis.backoff import NoBackoff
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
