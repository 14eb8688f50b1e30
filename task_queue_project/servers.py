"""Which PostgreSQL and Redis are used, and whether they answer. Knows nothing of Django's settings."""

import json
import os
import re
import shlex
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

STATE_FILE = "services.json"  # in DATA_DIR; written by jobs.dev.embedded while its servers run
DEFAULT_REDIS = "redis://localhost:6379/0"
OLDEST_REDIS = "6.2"  # 6.0 has all commands too, but nobody has tried it
DATABASE_SCHEMES = ("postgres", "postgresql", "pgsql", "psql")
ANSWER_S = 10  # seconds that a new connection waits for PostgreSQL, unless the address says connect_timeout
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+socket")


class AddressError(ValueError):
    """An address cannot be read; the message names the variable and never shows the password."""


class Unreachable(Exception):
    """A server does not answer, or refuses; the message is one line with the remedies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """`refused`: the server answers, but not to this user, or has no such database, which `command` would create.

    `old`: its version is, and `reason` the least that would do.
    """

    reason: str
    refused: bool = False
    command: str = ""
    old: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The addresses in use; a source is the variable's name, `embedded` or `default`."""

    database_url: str
    database_source: str
    redis_url: str
    redis_source: str


def find(environ: Mapping[str, str], data_dir: Path) -> Servers:
    """The servers to use: named by the environment, else embedded ones that run, else the defaults. Raises AddressError."""
    embedded = running_embedded(data_dir)
    database = _choose(environ, embedded, "DATABASE_URL", default_database(environ))
    redis = _choose(environ, embedded, "REDIS_URL", DEFAULT_REDIS)
    database_settings(database[0])
    broker_url(redis[0])
    return Servers(database_url=database[0], database_source=database[1], redis_url=redis[0], redis_source=redis[1])


def running_embedded(data_dir: Path) -> dict[str, str]:
    """Addresses by variable of those embedded servers of this data folder that answer right now."""
    try:
        state = json.loads((data_dir / STATE_FILE).read_text("utf-8"))
        named = {name: (state[name], path) for name, path in state["SOCKETS"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: url for name, (url, path) in named.items() if _listens(path)}


def default_database(environ: Mapping[str, str]) -> str:
    """The database of the README: task_queue_db on localhost, user and password from PGUSER and PGPASSWORD."""
    user, password = environ.get("PGUSER") or "postgres", environ.get("PGPASSWORD", "")
    secret = f":{quote(password, safe='')}" if password else ""
    return f"postgres://{quote(user, safe='')}{secret}@localhost:5432/task_queue_db"


def database_settings(url: str, variable: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's form of a PostgreSQL address. A socket folder may be the host (%2Fpath) or `?host=/path`. Raises AddressError.

    Several hosts with commas, each with its port, as libpq has them: it turns to the first that it may have.
    """
    try:
        address, hosts = _apart(url)
        parts, (host, port) = urlsplit(address), _hosts_and_ports(hosts)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        parts, host, port, options = urlsplit(""), "", "", {}
    if parts.scheme not in DATABASE_SCHEMES or len(parts.path) < 2:
        raise AddressError(f"{variable} is not a PostgreSQL address: postgres://USER:PASSWORD@HOST:PORT/DATABASE is expected")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or host,
        "PORT": options.pop("port", "") or port,
        "OPTIONS": {"connect_timeout": ANSWER_S} | options,
    }


def broker_url(url: str, variable: str = "REDIS_URL") -> str:
    """Celery's form of a Redis address (it has another one for unix sockets). Raises AddressError."""
    try:
        parts = urlsplit(url)
        number = dict(parse_qsl(parts.query)).get("db", "") or (parts.path.strip("/") if parts.scheme in ("redis", "rediss") else "")
        valid = parts.scheme in REDIS_SCHEMES and (number == "" or number.isdigit())
        valid = valid and bool(parts.path if parts.scheme in ("unix", "redis+socket") else parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise AddressError(f"{variable} is not a Redis address: redis://:PASSWORD@HOST:PORT/NUMBER or unix:///PATH?db=NUMBER is expected")
    if parts.scheme != "unix":
        return url
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={number or 0}"


def require(servers: Servers, *, database: bool = True, redis: bool = True, timeout: int = 3) -> None:
    """Return when the servers answer within `timeout` seconds; raise Unreachable with one line otherwise."""
    if database and (problem := _database_problem(servers.database_url, timeout)):
        raise Unreachable(_line("PostgreSQL", servers.database_url, servers.database_source, problem))
    if redis and (problem := _redis_problem(servers.redis_url, timeout)):
        raise Unreachable(_line("Redis", servers.redis_url, servers.redis_source, problem))


def wait(servers: Servers, *, patience: float, say: Callable[[str], None]) -> None:
    """Return when the servers answer. What is wrong is said once, at once; raises Unreachable after `patience` seconds."""
    deadline, told = time.monotonic() + patience, False
    while True:
        try:
            return require(servers)
        except Unreachable as error:
            if not told:
                say(str(error))
            told = True
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def connect(url: str, *, timeout: int) -> Any:
    """A plain psycopg2 connection to a PostgreSQL address, for a question outside Django. Raises psycopg2.Error."""
    import psycopg2

    wanted = database_settings(url)
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    named = {name: wanted[key] for name, key in names.items() if wanted[key]}
    return psycopg2.connect(**named, **wanted["OPTIONS"] | {"connect_timeout": timeout})


def gettext(text: str) -> str:
    """In the project's language where Django is up, else in English."""
    try:
        from django.utils import translation

        return translation.gettext(text)
    except Exception:  # no Django, or settings that cannot be read: the line must come out all the same
        return text


def _apart(url: str) -> tuple[str, str]:
    """An address without its hosts, and these as they are written; of several urlsplit makes nothing."""
    found = re.match(r"([^:/?#]+://(?:[^/?#]*@)?)([^/?#]*)(.*)", url, re.DOTALL)
    return (found[1] + found[3], found[2]) if found else ("", "")


def _hosts_and_ports(text: str) -> tuple[str, str]:
    """Each with commas; a host without a port has an empty one, none of any is no list. Raises ValueError."""
    found = [re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?", one) for one in text.split(",")]
    if not all(found) or any(int(one[2] or 0) > 65_535 for one in found if one):
        raise ValueError(text)
    ports = ",".join((one[2] or "").lstrip("0") for one in found if one)
    return ",".join(unquote(one[1]).strip("[]") for one in found if one), ports.strip(",") and ports


def _choose(environ: Mapping[str, str], embedded: Mapping[str, str], name: str, default: str) -> tuple[str, str]:
    if environ.get(name, "").strip():
        return environ[name].strip(), name
    return (embedded[name], "embedded") if name in embedded else (default, "default")


def _listens(path: str) -> bool:
    family = getattr(socket, "AF_UNIX", None)
    if family is None:  # Windows: embedded servers are not started there
        return False
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _database_problem(url: str, timeout: int) -> _Problem | None:
    import psycopg2
    from django.db.backends.postgresql.features import DatabaseFeatures

    try:
        with closing(connect(url, timeout=timeout)) as connection:
            found, oldest = connection.server_version // 10_000, (DatabaseFeatures.minimum_database_version or (0,))[0]
    except psycopg2.Error as error:  # without a code: it comes from the driver, which has no session yet
        wanted = database_settings(url)
        reason = _first_line(error, wanted["PASSWORD"])
        missing = f'database "{wanted["NAME"]}" does not exist' in reason
        refused = any(word in reason for word in ("FATAL:", "fe_sendauth:"))  # the server's word; a password that it wants and nobody gave
        return _Problem(reason=reason, refused=refused, command=_createdb(wanted) if missing else "")
    return _Problem(reason=str(oldest), old=True) if found < oldest else None


def _createdb(wanted: Mapping[str, Any]) -> str:
    options = [part for option, key in (("-h", "HOST"), ("-p", "PORT"), ("-U", "USER")) if wanted[key] for part in (option, wanted[key])]
    return shlex.join(["createdb", *options, wanted["NAME"]])


def _redis_problem(url: str, timeout: int) -> _Problem | None:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    url = url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=")
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=timeout, socket_timeout=timeout, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        if isinstance(error, redis.ResponseError) and "unknown command" in str(error) and "HELLO" in str(error):
            return _Problem(reason=OLDEST_REDIS, old=True)
        refused = isinstance(error, redis.ResponseError | redis.AuthenticationError)
        return _Problem(reason=_first_line(error, unquote(urlsplit(url).password or "")), refused=refused)
    return None


def _first_line(error: Exception, password: str) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text.replace(password, "***") if password else text


def _line(name: str, url: str, source: str, problem: _Problem) -> str:
    address, hosts = _apart(url)
    parts = urlsplit(address)
    place = dict(parse_qsl(parts.query)).get("host") or unquote(hosts) or parts.path
    if problem.old:
        text = gettext("%(server)s at %(place)s (%(source)s) is too old: %(reason)s or later is required.")
    elif problem.refused:
        text = gettext("%(server)s at %(place)s (%(source)s) refuses the connection: %(reason)s.")
    else:
        text = gettext("%(server)s does not answer at %(place)s (%(source)s): %(reason)s.")
    if problem.command:
        remedies = gettext("Create it with `%(command)s`, or set DATABASE_URL to another database.")
    elif os.name != "posix":  # no embedded servers
        remedies = gettext(
            "Remedies: point DATABASE_URL and REDIS_URL at your own servers; or run `docker compose up -d postgres redis` and set "
            "PGPASSWORD to postgres; or start PostgreSQL on localhost:5432 with a database task_queue_db and Redis on localhost:6379."
        )
    else:
        remedies = gettext(
            "Remedies: point DATABASE_URL and REDIS_URL at your own servers; or run `make up` or `python manage.py services start`; or "
            "start PostgreSQL on localhost:5432 with a database task_queue_db and Redis on localhost:6379."
        )
    source = {"default": gettext("default"), "embedded": gettext("embedded")}.get(source, source)  # else a variable's name
    words = {"server": name, "place": place, "source": source, "reason": problem.reason.rstrip("."), "command": problem.command}
    return f"{text} {remedies}" % words
