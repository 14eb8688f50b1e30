"""The embedded servers can be reached by this user only: unix sockets, mode 0700, no port."""

import os
import socket
import stat
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psutil
import pytest

from jobs.dev import embedded, places


@pytest.fixture
def folder() -> Path:
    """The data folder of the servers that the tests run on."""
    if os.environ.get("TEST_DATABASE_URL") or os.environ.get("TEST_REDIS_URL"):
        pytest.skip("the tests run on other servers")
    return Path(os.environ["DATA_DIR"])


def processes(folder: Path) -> list[psutil.Process]:
    """All processes of both servers."""
    sockets = str(places.socket_folder(folder / "postgres"))
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if f"{folder}/" in command or sockets in command:
            found += [process, *process.children(recursive=True)]
    return [process for process in found if "postgres" in process.name() or "redis" in process.name() or "valkey" in process.name()]


def test_they_listen_on_no_port(folder: Path) -> None:
    both = processes(folder)
    assert {process.name().split("-")[0] for process in both} >= {"postgres"}
    assert len(both) >= 3
    listening = [one.laddr for process in both for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN]
    assert listening == []


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
