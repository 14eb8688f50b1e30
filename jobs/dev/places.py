"""Where embedded servers keep their sockets and data, and as whom they run."""

import hashlib
import importlib.util
import json
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from task_queue_project.servers import STATE_FILE
from task_queue_project.servers import gettext as _


class EmbeddedError(Exception):
    """An embedded server cannot be started; the message says why and what helps."""


def wheel(name: str) -> Path | None:
    """The folder of an installed package, found without importing it (the wheels' own Python layers change the system)."""
    found = importlib.util.find_spec(name)
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


def unprivileged() -> dict[str, Any]:
    """Arguments for subprocess: PostgreSQL refuses to run as root, so root starts it as nobody."""
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    import pwd

    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def run(*command: str | Path, timeout: float = 60) -> None:
    """Run one short program of a server. It never inherits our pipes and never takes longer than `timeout` seconds."""
    with tempfile.TemporaryFile() as errors:
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": errors, "cwd": "/"}
        try:
            code = subprocess.run([str(part) for part in command], timeout=timeout, check=False, **options, **unprivileged()).returncode
        except subprocess.TimeoutExpired as error:
            raise late(error) from error
        if code:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines() or [_("exit %(number)d") % {"number": code}]
            raise EmbeddedError(f"{Path(command[0]).name}: {lines[-1]}")


def late(error: subprocess.TimeoutExpired) -> EmbeddedError:
    """The error to raise for a program that did not end in time."""
    program = Path(error.cmd[0]).name
    return EmbeddedError(_("%(program)s took longer than %(seconds)d s") % {"program": program, "seconds": error.timeout})


def can(test: str, path: Path) -> bool:
    """Whether the user that PostgreSQL runs as may read (`-r`), write (`-w`) or enter (`-x`) a place."""
    return not subprocess.run(["test", test, str(path)], timeout=10, check=False, **unprivileged()).returncode


def is_ours(path: Path) -> bool:
    """Whether a place belongs to who runs this, or to the user that PostgreSQL runs as."""
    return os.name != "posix" or path.stat().st_uid in (os.geteuid(), unprivileged().get("user"))


def refuse_others(path: Path) -> None:
    """Raise EmbeddedError for a place of another user: root would take it from him, and anybody else can do nothing with it."""
    if path.exists() and not is_ours(path):
        try:
            user = path.owner()
        except KeyError:  # a user that has no name here
            user = str(path.stat().st_uid)
        words = {"path": path, "user": user}
        raise EmbeddedError(
            _("%(path)s belongs to the user %(user)s: run this as that user, or set DATA_DIR to a directory of your own") % words
        )


def own(path: Path, mode: int = 0o700) -> None:
    """Make a private folder of the user that PostgreSQL runs as. Raises EmbeddedError where it is another user's."""
    refuse_others(path)
    path.mkdir(parents=True, exist_ok=True)
    user = unprivileged()
    if user:
        os.chown(path, user["user"], user["group"])
    path.chmod(mode)


def private(path: Path) -> None:
    """Make a folder that nobody else may enter; one that is there already becomes so, unless it is another user's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):
        path.chmod(0o700)


def socket_folder(folder: Path) -> Path:
    """A short private folder for the sockets of this data folder: a socket's path holds about 100 bytes.

    Once chosen it stays until both servers are stopped: the next command may have another TMPDIR, and two Redis would write one file.
    """
    name, note = "jobs-" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:10], _note(folder)
    path = _chosen(folder, name)
    if path is None:
        base = Path(tempfile.gettempdir())
        path = (base if len(os.fsencode(base)) < 60 else Path("/tmp")) / name
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or not is_ours(path):
        raise EmbeddedError(_("%(path)s belongs to another user: remove it") % {"path": path})
    own(path)
    if not note.exists() or note.read_text("utf-8") != str(path):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(str(path), "utf-8")
    return path


def remove_socket_folder(folder: Path) -> None:
    """Leave nothing behind in the system's temporary folder; one that still holds a socket stays."""
    try:
        socket_folder(folder).rmdir()
        _note(folder).unlink()
    except OSError:
        pass


def _note(folder: Path) -> Path:
    return folder.parent / "sockets.txt"


def _chosen(folder: Path, name: str) -> Path | None:
    """The folder noted earlier, or of servers that an earlier version started; None where it is not this one's (the data were copied)."""
    noted = []
    with suppress(OSError):
        noted.append(_note(folder).read_text("utf-8"))
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        noted += [str(Path(path).parent) for path in json.loads((folder.parent / STATE_FILE).read_text("utf-8"))["SOCKETS"].values()]
    return next((path for path in map(Path, noted) if path.name == name and path.parent.is_dir()), None)
