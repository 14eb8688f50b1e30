"""The whole system on one machine: servers, tables, a worker, the web pages; from the first line to the last."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.dev import embedded, locking, processes, server_logs
from jobs.dev.console import Console, Log
from jobs.dev.parent import make_wants_to_stop
from jobs.dev.parts import Part
from jobs.dev.places import EmbeddedError
from jobs.dev.reviving import Reviver
from jobs.dev.supervisor import Supervisor
from task_queue_project import servers

HOST = "127.0.0.1"
LONGEST_GRACE = 20.0  # seconds running jobs get at the end: everything has stopped within 30
ENDS = 5.5  # seconds after its grace in which a worker has ended, whatever its jobs do: its watchdog and its sentry see to that
WORKER = ["celery", "-A", "task_queue_project", "worker", "--loglevel=info", "-P", "gevent", "--concurrency=4", "--prefetch-multiplier=1"]


class CannotStart(Exception):
    """The system does not start; the message is one line for a person."""


def run(on_ready: Callable[[], bool] = lambda: True) -> int:
    """Start everything, stay until a signal comes (or `on_ready` says False), stop everything; returns the exit code."""
    data_dir = Path(settings.DATA_DIR)
    with ExitStack() as stack:
        try:
            stack.enter_context(locking.held(data_dir / "up.lock", wait=0))
        except locking.Busy:
            words = {"folder": data_dir, "pid": processes.recorded(data_dir)[0]}
            raise CannotStart(_("it is already running in %(folder)s (process %(pid)d)") % words) from None
        except OSError as error:  # a folder that cannot be written
            raise CannotStart(str(error)) from error
        console = Console()
        stack.callback(console.close)
        _end_leftovers(console, data_dir)
        _require_free_port(settings.PORT)
        supervisor = Supervisor(console=console, parts=[], token=processes.new_token(data_dir), grace=_grace() + ENDS)
        stack.callback(processes.forget, data_dir)
        supervisor.watch_signals()
        try:
            return _run(supervisor, data_dir, on_ready)
        except (EmbeddedError, servers.Unreachable) as error:
            raise CannotStart(str(error)) from error


def _run(supervisor: Supervisor, data_dir: Path, on_ready: Callable[[], bool]) -> int:
    wanted = [name for name in embedded.BOTH if not os.environ.get(name, "").strip()]
    reviver = Reviver(supervisor, data_dir, wanted)
    try:
        addresses = embedded.start(data_dir, wanted=wanted) if wanted else {}
        environ = _environment(addresses, supervisor.token)
        servers.require(servers.find(environ, data_dir))
        if _prepare(supervisor, data_dir, environ):
            supervisor.parts = _parts(data_dir, environ)
            supervisor.each_second = _each_second(supervisor, data_dir, reviver)
            supervisor.on_ready = lambda: _announce(supervisor.console) or on_ready()
            return supervisor.run()
        return 0  # told to stop before anything ran
    finally:
        supervisor.stop()
        reviver.end()
        if wanted and not embedded.is_kept(data_dir):
            embedded.stop(data_dir)


def _end_leftovers(console: Console, data_dir: Path) -> None:
    """After kill -9 of a supervisor its parts may still run; they would hold the port and the jobs."""
    pid, token = processes.recorded(data_dir)
    count = processes.end_family(token, patience=5)
    if count:
        line = ngettext(
            "ended %(count)d process that an earlier start (process %(pid)d) left behind",
            "ended %(count)d processes that an earlier start (process %(pid)d) left behind",
            count,
        )
        console.say("up: " + line % {"count": count, "pid": pid})


def _require_free_port(port: int) -> None:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does: closing connections do not count
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            words = {"port": port, "error": error}
            raise CannotStart(_("port %(port)d cannot be used (%(error)s): set PORT to another one") % words) from error


def _environment(addresses: dict[str, str], token: str) -> dict[str, str]:
    """The parts' environment: the production form, and the addresses by name, so that none looks elsewhere while a server restarts."""
    return {
        "DEBUG": "False",
        "SECRET_KEY": settings.SECRET_KEY,
        "PYTHONUNBUFFERED": "1",
        **os.environ,
        "JOBS_SITE_URL": settings.JOBS_SITE_URL or f"http://{HOST}:{settings.PORT}/",
        **{name: address for name, address in addresses.items() if address},
        "JOBS_SHUTDOWN_GRACE": str(_grace()),
        processes.TOKEN: token,
    }


def _grace() -> float:
    """The worker's own, and no more than leaves time for its end and that of the servers: one that is killed has lost its runs."""
    return min(settings.JOBS_SHUTDOWN_GRACE, LONGEST_GRACE)


def _prepare(supervisor: Supervisor, data_dir: Path, environ: dict[str, str]) -> bool:
    """Migrate and so on in a process of its own (settings are read anew there); False when told to stop meanwhile."""
    log = Log(data_dir / "logs" / "prepare.log")
    command = [sys.executable, "-m", "jobs.dev.preparation"]
    with log.opened() as output:
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, "start_new_session": os.name == "posix"}
        # What it says may be Arabic, and the log is read as UTF-8, whatever the system's encoding is.
        environ = {**environ, "PYTHONIOENCODING": "utf-8"}
        process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environ, **options)
    while process.poll() is None and not supervisor.stopping.wait(0.02):
        pass
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=10)
    lines = log.new_lines()
    if process.returncode and not supervisor.stopping.is_set():
        words = {"reason": lines[-1] if lines else process.returncode, "path": log.path}
        raise CannotStart(_("setup failed: %(reason)s (full output: %(path)s)") % words)
    for line in lines:
        supervisor.console.say(f"up: {line}")
    return not supervisor.stopping.is_set()


def _parts(data_dir: Path, environ: dict[str, str]) -> list[Part]:
    commands = {"worker": ([sys.executable, "-m", *WORKER], _worker_is_live), "web": (_web_command(), _web_answers)}
    return [
        Part(
            name=name,
            command=command,
            log=Log(data_dir / "logs" / f"{name}.log"),
            environ=environ,
            folder=str(settings.BASE_DIR),
            is_ready=_asked_each(0.2, is_ready, environ),
        )
        for name, (command, is_ready) in commands.items()
    ]


def _web_command() -> list[str]:
    if os.name != "posix":  # gunicorn needs fork
        return [sys.executable, "manage.py", "runserver", "--noreload", f"{HOST}:{settings.PORT}"]
    options = [
        "--worker-class=gthread",
        "--workers=1",  # its threads share what is kept for those who look
        "--threads=16",
        "--keep-alive=10",  # seconds: a live page asks again within them
        "--graceful-timeout=10",
        "--no-control-socket",
        "--log-level=warning",
    ]
    return ["nice", "-n", "5", sys.executable, "-m", "gunicorn", "task_queue_project.wsgi", f"--bind={HOST}:{settings.PORT}", *options]


def _asked_each(seconds: float, question: Callable[[Part, dict[str, str]], bool], environ: dict[str, str]) -> Callable[[Part], bool]:
    """Ask a dear question not more often than each `seconds`."""
    last = 0.0

    def ask(part: Part) -> bool:
        nonlocal last
        if time.monotonic() - last < seconds:
            return False
        last = time.monotonic()
        return question(part, environ)

    return ask


def _web_answers(part: Part, environ: dict[str, str]) -> bool:
    connection = http.client.HTTPConnection(HOST, settings.PORT, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _worker_is_live(part: Part, environ: dict[str, str]) -> bool:
    """Whether the worker has written its row: from then on it takes jobs."""
    import psycopg2

    assert part.process is not None
    try:
        connection = servers.connect(environ.get("DATABASE_URL") or settings.SERVERS.database_url, timeout=2)
    except psycopg2.Error:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM jobs_worker WHERE pid = ANY(%s)", [processes.descent(part.process.pid)])
            return cursor.fetchone() is not None
    except psycopg2.Error:
        return False
    finally:
        connection.close()


def _announce(console: Console) -> bool:
    console.say(f"ready: http://{HOST}:{settings.PORT}/")
    return False


def _each_second(supervisor: Supervisor, data_dir: Path, reviver: Reviver) -> Callable[[], None]:
    asked_to_stop, looks = make_wants_to_stop(), count()

    def look() -> None:
        if asked_to_stop():
            supervisor.stopping.set()
        reviver.look()
        if reviver.wanted and next(looks) % 60 == 0:
            with suppress(EmbeddedError, OSError):  # a full disk, say: it is tried again
                server_logs.put_aside(data_dir)

    return look
