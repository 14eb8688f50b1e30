"""The embedded servers can be reached by this user only: unix sockets, mode 0700, no port."""

import contextlib
import os
import socket
import stat
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psutil
import pytest

from jobs.dev import embedded, places, redis_server


@pytest.fixture
def folder() -> Path:
    """The data folder of the servers that the tests run on."""
    if os.environ.get("TEST_DATABASE_URL") or os.environ.get("TEST_REDIS_URL"):
        pytest.skip("the tests run on other servers")
    return Path(os.environ["DATA_DIR"])


def listening(folder: Path) -> dict[str, list[object]]:
    """The inet addresses that the processes of both servers listen on, by the name of the process and its number.

    PostgreSQL ends processes of its own at any time (autovacuum, parallel workers): one that is gone listens on nothing.
    """
    sockets = str(places.socket_folder(folder / "postgres"))
    found: dict[str, list[object]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            if f"{folder}/" not in command and sockets not in command:
                continue
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if any(server in (name := one.name()) for server in ("postgres", "redis", "valkey")):
                        addresses = [at.laddr for at in one.net_connections(kind="inet") if at.status == psutil.CONN_LISTEN]
                        found[f"{name} {one.pid}"] = addresses
    return found


def test_they_listen_on_no_port(folder: Path) -> None:
    found = listening(folder)
    assert len(found) >= 3
    assert any(name.startswith("postgres") for name in found)
    assert not {name: addresses for name, addresses in found.items() if addresses}


def test_their_sockets_and_folders_belong_to_one_user(folder: Path) -> None:
    addresses = embedded.running(folder)
    place = dict(parse_qsl(urlsplit(addresses["DATABASE_URL"]).query))
    paths = [Path(place["host"]) / f".s.PGSQL.{place['port']}", Path(urlsplit(addresses["REDIS_URL"]).path)]
    for path in paths:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path}: {path.stat().st_mode:o}"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    data = folder / "postgres" / "data"
    assert not data.is_dir() or stat.S_IMODE(data.stat().st_mode) == 0o700


def test_the_arguments_of_jobs_that_redis_keeps_belong_to_one_user(tmp_path: Path) -> None:
    """Its append-only files may be read by all: their folder may not be entered, nor one that an earlier version made."""
    folder = tmp_path / "redis"
    folder.mkdir(mode=0o755)
    redis_server.start(folder)
    try:
        assert list(folder.glob("appendonlydir/*.aof"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        redis_server.stop(folder)
        places.remove_socket_folder(tmp_path / "postgres")
