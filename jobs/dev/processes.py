"""Child processes of a supervisor: found again by a token that they all inherit, and ended."""

import json
import os
import secrets
from pathlib import Path

import psutil

TOKEN = "JOBS_SUPERVISOR_TOKEN"
RECORD = "up.json"  # in DATA_DIR


def new_token(data_dir: Path) -> str:
    """A token for the children of this supervisor, noted so that the next one can find what a kill -9 left over."""
    token = secrets.token_hex(16)
    me = psutil.Process()
    draft = data_dir / f".{RECORD}"
    draft.write_text(json.dumps({"pid": me.pid, "started": me.create_time(), "token": token}), "utf-8")
    draft.replace(data_dir / RECORD)
    return token


def recorded(data_dir: Path) -> tuple[int, str]:
    """Process number and token of the last supervisor here that did not end in order; (0, "") when there is none."""
    try:
        record = json.loads((data_dir / RECORD).read_text("utf-8"))
        return int(record["pid"]), str(record["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def forget(data_dir: Path) -> None:
    """The supervisor ended in order."""
    (data_dir / RECORD).unlink(missing_ok=True)


def family(token: str) -> list[psutil.Process]:
    """Every living process started, directly or not, under this token. A number that was used again cannot be mistaken."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TOKEN) == token:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, or another user's
    return found


def descent(pid: int) -> list[int]:
    """The number of a process and those of all that it started: python.exe of a virtual environment on Windows only starts the real one."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]


def end_family(token: str, *, patience: float) -> int:
    """Ask what is left of a family to end, wait `patience` seconds, then kill it; returns how many there were."""
    processes = family(token) if token else []
    for process in processes:
        _signal(process, "terminate")
    alive = psutil.wait_procs(processes, timeout=patience)[1] if processes else []
    for process in [*alive, *(family(token) if processes else [])]:
        _signal(process, "kill")
    psutil.wait_procs(alive, timeout=2)
    return len(processes)


def _signal(process: psutil.Process, verb: str) -> None:
    try:
        getattr(process, verb)()
    except psutil.Error:
        pass  # it is gone already
