"""The embedded servers of a data folder: start them together, find them again, stop them."""

import json
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobs.dev import locking, postgres, redis_server
from jobs.dev.places import EmbeddedError, late, remove_socket_folder
from task_queue_project.servers import STATE_FILE, running_embedded
from task_queue_project.servers import gettext as _

BOTH = ("DATABASE_URL", "REDIS_URL")
PATIENCE = 90.0  # seconds for another start or stop of the same servers to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings for the servers beyond the usual, by server."""

    postgres: Mapping[str, str] = field(default_factory=dict)
    redis: Mapping[str, str] = field(default_factory=dict)


def start(data_dir: Path, *, wanted: Collection[str] = BOTH, keep: bool = False, options: Options | None = None) -> dict[str, str]:
    """Start what is wanted and does not run; returns addresses by variable. `keep`: it outlives `up`. Raises EmbeddedError."""
    options = options or Options()
    with _alone(data_dir):
        started = {}
        if "DATABASE_URL" in wanted:
            started["DATABASE_URL"] = postgres.start(data_dir / "postgres", options.postgres)
        if "REDIS_URL" in wanted:
            started["REDIS_URL"] = redis_server.start(data_dir / "redis", options.redis)
        state = _state(data_dir)
        addresses = {name: address for name, (address, _path) in started.items()}
        sockets = {name: str(path) for name, (_, path) in started.items()}
        # Those that a person started by hand stay kept when `up` starts beside them.
        kept = bool(state.get("keep")) and bool(running_embedded(data_dir))
        _write(data_dir, {**addresses, "SOCKETS": sockets, "keep": keep or kept})
    return addresses


def running(data_dir: Path) -> dict[str, str]:
    """Addresses by variable of what answers now."""
    return running_embedded(data_dir)


def is_kept(data_dir: Path) -> bool:
    """Whether a person started the servers by hand, so that they outlive `up`."""
    return bool(_state(data_dir).get("keep"))


def stop(data_dir: Path) -> None:
    """Stop both servers and forget them; nothing happens where none runs. Raises EmbeddedError."""
    with _alone(data_dir):
        if (data_dir / "redis").is_dir():
            redis_server.stop(data_dir / "redis")
        if (data_dir / "postgres").is_dir():
            postgres.stop(data_dir / "postgres")
        (data_dir / STATE_FILE).unlink(missing_ok=True)
        if (data_dir / "postgres").is_dir() or (data_dir / "redis").is_dir():
            remove_socket_folder(data_dir / "postgres")


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    if os.name != "posix":
        raise EmbeddedError(
            _(
                "the embedded servers do not run on Windows: point DATABASE_URL and REDIS_URL at your own servers, or run `docker "
                "compose up -d postgres redis` and set PGPASSWORD to postgres"
            )
        )
    lock = data_dir / "services.lock"
    try:
        with locking.held(lock, wait=PATIENCE):
            yield
    except locking.Busy as error:
        raise EmbeddedError(_("another process is starting or stopping these servers (it holds %(lock)s)") % {"lock": lock}) from error
    except subprocess.TimeoutExpired as error:
        raise late(error) from error
    except OSError as error:  # a folder that cannot be written, a disk that is full
        raise EmbeddedError(str(error)) from error


def _state(data_dir: Path) -> dict[str, object]:
    try:
        return dict(json.loads((data_dir / STATE_FILE).read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _write(data_dir: Path, state: Mapping[str, object]) -> None:
    draft = data_dir / f".{STATE_FILE}"
    draft.write_text(json.dumps(state, indent=1), "utf-8")
    draft.replace(data_dir / STATE_FILE)
