"""Which servers are used, and what is said when none answers."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote, urlsplit

import pytest
import redis
from django.db import NotSupportedError
from django.db.backends.postgresql.features import DatabaseFeatures
from django.utils import translation

from jobs.dev import embedded
from jobs.management.base import is_connection_error
from jobs.store import readiness, stats
from task_queue_project import servers

DEFAULT = "postgres://postgres@localhost:5432/task_queue_db"


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A unix socket that something listens on."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def write_state(folder: Path, path: Path) -> None:
    """The state file as the embedded servers leave it."""
    state = {"DATABASE_URL": "postgres://e@/db?host=/e", "REDIS_URL": "unix:///e/redis.sock?db=0"}
    (folder / servers.STATE_FILE).write_text(json.dumps({**state, "SOCKETS": dict.fromkeys(state, str(path))}))


def test_the_environment_comes_first(tmp_path: Path, listening: Path) -> None:
    write_state(tmp_path, listening)
    found = servers.find({"DATABASE_URL": "postgres://u@h/d", "REDIS_URL": "redis://h:1/2"}, tmp_path)
    assert (found.database_url, found.database_source) == ("postgres://u@h/d", "DATABASE_URL")
    assert (found.redis_url, found.redis_source) == ("redis://h:1/2", "REDIS_URL")


def test_running_embedded_servers_come_next(tmp_path: Path, listening: Path) -> None:
    write_state(tmp_path, listening)
    found = servers.find({"DATABASE_URL": " "}, tmp_path)
    assert (found.database_source, found.redis_source) == ("embedded", "embedded")
    assert found.redis_url == "unix:///e/redis.sock?db=0"


def test_embedded_servers_that_do_not_run_are_passed_over(tmp_path: Path) -> None:
    write_state(tmp_path, tmp_path / "nobody-listens")
    found = servers.find({}, tmp_path)
    assert (found.database_url, found.redis_url) == (DEFAULT, "redis://localhost:6379/0")
    assert (found.database_source, found.redis_source) == ("default", "default")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"SOCKETS": 1}', '{"SOCKETS": {"DATABASE_URL": "/x"}}'])
def test_a_spoiled_state_file_is_no_state(tmp_path: Path, text: str) -> None:
    (tmp_path / servers.STATE_FILE).write_text(text)
    assert servers.running_embedded(tmp_path) == {}


def test_the_default_database_takes_user_and_password_from_libpq_variables() -> None:
    assert servers.default_database({"PGUSER": "سارة", "PGPASSWORD": "p@ss/word"}).endswith(":p%40ss%2Fword@localhost:5432/task_queue_db")
    settings = servers.database_settings(servers.default_database({"PGUSER": "سارة", "PGPASSWORD": "p@ss/word"}))
    assert (settings["USER"], settings["PASSWORD"], settings["HOST"]) == ("سارة", "p@ss/word", "localhost")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgres://u:p@db.example:5433/d", "db.example", "5433"),
        ("postgresql://u@[::1]:5433/d", "::1", "5433"),
        ("postgres://u@%2FVar%2Frun/d", "/Var/run", ""),
        ("postgres://u@/d?host=/Var/run&port=6432", "/Var/run", "6432"),
        ("postgres://u@h:/d", "h", ""),
        ("postgres://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write", "h1,h2", "5432,5433"),
        ("postgres://u@h1,h2:5433/d", "h1,h2", ",5433"),
        ("postgres://u@h1,h2/d", "h1,h2", ""),
        ("postgres://u@[::1]:5432,[::2]:5433/d", "::1,::2", "5432,5433"),
    ],
)
def test_database_addresses(url: str, host: str, port: str) -> None:
    settings = servers.database_settings(url)
    assert (settings["HOST"], settings["PORT"], settings["NAME"], settings["USER"]) == (host, port, "d", "u")


def test_of_several_hosts_the_one_that_answers_is_found(settings: Any) -> None:
    place = settings.DATABASES["default"]
    hosts = f"%2Fnowhere:5432,{quote(place['HOST'], safe='')}:{place['PORT']}"
    with closing(servers.connect(f"postgres://{place['USER']}@{hosts}/postgres?target_session_attrs=read-write", timeout=5)) as connection:
        assert connection.info.host == place["HOST"]
    servers.require(replace(settings.SERVERS, database_url=f"postgres://{place['USER']}@{hosts}/postgres"), redis=False)


def test_other_words_of_the_query_go_to_the_driver() -> None:
    words = servers.database_settings("postgres://h/d?sslmode=require&connect_timeout=3")["OPTIONS"]
    assert words == {"sslmode": "require", "connect_timeout": "3"}


def test_nobody_waits_for_ever_for_a_postgresql_that_hangs() -> None:
    assert servers.database_settings("postgres://h/d")["OPTIONS"] == {"connect_timeout": 10}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/d",
        "postgres://u:secret@h:port/d",
        "postgres://u:secret@h",
        "secret",
        "postgres://u:secret@h/",
        "postgres://[h/d",
        "postgres://u:secret@h,h2:port/d",
        "postgres://u:secret@h,h2:99999/d",
    ],
)
def test_a_bad_database_address_names_the_variable_and_hides_the_password(url: str) -> None:
    with pytest.raises(servers.AddressError) as error:
        servers.find({"DATABASE_URL": url}, Path("/nowhere"))
    assert "DATABASE_URL" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://:secret@h", "redis://:secret@h:port/0", "redis://h/name", "redis://", "unix://", "redis://h:0/0", "redis://h:99999/0"]
)
def test_a_bad_redis_address_names_the_variable_and_hides_the_password(url: str) -> None:
    with pytest.raises(servers.AddressError) as error:
        servers.find({"REDIS_URL": url}, Path("/nowhere"))
    assert "REDIS_URL" in str(error.value)
    assert "secret" not in str(error.value)


def test_celery_has_its_own_form_for_unix_sockets() -> None:
    assert servers.broker_url("unix:///run/redis.sock?db=3") == "redis+socket:///run/redis.sock?virtual_host=3"
    assert servers.broker_url("unix:///run/redis.sock") == "redis+socket:///run/redis.sock?virtual_host=0"
    assert servers.broker_url("rediss://:p@h:6380/1") == "rediss://:p@h:6380/1"


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(("source", "said"), [("default", "افتراضي"), ("embedded", "مضمّن"), ("DATABASE_URL", "DATABASE_URL")])
def test_where_an_address_comes_from_is_in_the_reader_s_language(source: str, said: str) -> None:
    url = f"postgres://u@127.0.0.1:{closed_port()}/d"
    found = servers.Servers(database_url=url, database_source=source, redis_url="redis://h", redis_source="default")
    with translation.override("ar"), pytest.raises(servers.Unreachable, match=rf"\({said}\)"):
        servers.require(found)


def test_a_missing_database_is_one_line_with_three_remedies(tmp_path: Path) -> None:
    found = servers.find({"DATABASE_URL": f"postgres://u:secret@127.0.0.1:{closed_port()}/d"}, tmp_path)
    with pytest.raises(servers.Unreachable) as error:
        servers.require(found)
    line = str(error.value)
    assert "\n" not in line
    assert "secret" not in line
    for part in ("PostgreSQL", "127.0.0.1", "DATABASE_URL", "services start", "task_queue_db", "6379"):
        assert part in line


def test_windows_has_no_embedded_servers_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "os", SimpleNamespace(name="nt"))
    found = servers.find({"REDIS_URL": f"redis://127.0.0.1:{closed_port()}/0"}, Path("/nowhere"))
    with (
        translation.override("en"),
        pytest.raises(servers.Unreachable, match=r"run `docker compose up -d postgres redis` and set") as error,
    ):
        servers.require(found, database=False)
    assert "services start" not in str(error.value)


def test_a_missing_redis_is_one_line_too(tmp_path: Path) -> None:
    found = servers.find({"REDIS_URL": f"redis://:secret@127.0.0.1:{closed_port()}/0"}, tmp_path)
    with pytest.raises(servers.Unreachable, match="Redis") as error:
        servers.require(found, database=False)
    assert "secret" not in str(error.value)


def test_a_server_without_the_database_refuses_and_the_line_says_how_to_create_it(settings: Any) -> None:
    address = urlsplit(settings.SERVERS.database_url)._replace(path="/of%20nobody").geturl()
    with translation.override("en"), pytest.raises(servers.Unreachable, match="refuses the connection: connection to server") as error:
        servers.require(replace(settings.SERVERS, database_url=address), redis=False)
    line, wanted = str(error.value), servers.database_settings(address)
    assert re.search(f"Create it with `createdb -h {wanted['HOST']} .*-U {wanted['USER']} 'of nobody'`, or set DATABASE_URL", line)
    assert ("\n" in line, "does not answer" in line) == (False, False)


def test_a_redis_that_wants_another_password_refuses(settings: Any) -> None:
    parts = urlsplit(settings.SERVERS.redis_url)
    address = parts._replace(netloc="nobody:secret@" + parts.netloc).geturl()
    with translation.override("en"), pytest.raises(servers.Unreachable, match=r"Redis at .* refuses the connection: .*Remedies: ") as error:
        servers.require(replace(settings.SERVERS, redis_url=address), database=False)
    assert "secret" not in str(error.value)


def test_a_postgresql_that_is_too_old_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a traceback, and /readyz said that it does not answer."""
    monkeypatch.setattr(DatabaseFeatures, "minimum_database_version", (1000,))
    with translation.override("en"), pytest.raises(servers.Unreachable, match=r"PostgreSQL at .* is too old: 1000 or later is required\."):
        servers.require(settings.SERVERS, redis=False)
    error = NotSupportedError("PostgreSQL 1000 or later is required (found 17).")
    assert is_connection_error(error)
    assert not is_connection_error(ValueError())
    monkeypatch.setattr(stats, "migrations_missing", Mock(side_effect=error))
    with translation.override("en"):
        assert readiness.reasons() == [f"PostgreSQL answers, but refuses: {error}"]


@pytest.mark.parametrize("said", ["unknown command 'HELLO', with args", "unknown command `HELLO`, with args beginning with: `3`,"])
def test_a_redis_that_is_too_old_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(redis.Redis, "ping", Mock(side_effect=redis.ResponseError(said)))
    with translation.override("en"), pytest.raises(servers.Unreachable, match=r"Redis at .* is too old: 6\.2 or later is required\."):
        servers.require(settings.SERVERS, database=False)


def test_servers_that_answer_are_fine(settings: object) -> None:
    servers.require(settings.SERVERS)  # type: ignore[attr-defined]


def test_both_embedded_servers_have_a_name() -> None:
    assert embedded.BOTH == ("DATABASE_URL", "REDIS_URL")
