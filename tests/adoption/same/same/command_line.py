"""The command line."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import current_app

from . import tasks
from .running import program

T = 60
app = current_app


def celery_command(*arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "celery", "-A", "same", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@program
def command_line():
    code, out, err = celery_command("call", "same.tasks.plain.add", "-a", "[4, 5]")
    id = out.strip()
    found = {"call": [code, id]}
    value = app.AsyncResult(id).get(T)
    found["value"] = value
    for name, command in {
        "result": ["result", id],
        "result of a task": ["result", id, "-t", "same.tasks.plain.add"],
        "traceback": ["result", id, "--traceback"],
        "kwargs": ["call", "same.tasks.plain.add", "-k", '{"x": 1, "y": 2}', "--countdown", "0.1", "--queue", "routed"],
        "unknown": ["call", "same.tasks.nobody-here"],
        "bad json": ["call", "same.tasks.plain.add", "-a", "[4"],
    }.items():
        code, out, err = celery_command(*command)
        found[name] = [code, out.strip()[:300], (err.strip().splitlines() or [""])[-1][:200]]
    for name, command in {
        "ping": ["inspect", "ping", "-j", "-t", "5"],
        "registered": ["inspect", "registered", "-j", "-t", "5"],
        "active": ["inspect", "active", "-j", "-t", "5"],
        "status": ["status", "-j", "-t", "5"],
        "rate": ["control", "-j", "-t", "5", "rate_limit", "same.tasks.plain.mul", "9/s"],
    }.items():
        code, out, err = celery_command(*command)
        answer = json.JSONDecoder().raw_decode(out.strip())[0] if out.strip().startswith(("{", "[")) else out
        value = next(iter(answer.values())) if isinstance(answer, dict) and answer else answer
        found[name] = [code, [each for each in value if not str(each).startswith("jobs.")] if isinstance(value, list) else value]
    for name, command in {
        "report": ["report"],
        "graph": ["graph", "bootsteps"],
        "purge": ["purge", "-f", "-Q", "never-read"],
        "no task": ["inspect", "query_task", "nobody", "-t", "5"],
        "help": ["--help"],
        "no command": ["nonsense"],
        "version": ["--version"],
        "shell": ["shell", "--help"],
        "list": ["list", "--help"],
    }.items():
        code, out, err = celery_command(*command)
        found[name] = [code, bool(out.strip() or err.strip()), out.strip()[:40] if name in ("purge", "no command") else ""]
    return found


OLD_SETTINGS = """
CELERY_ALWAYS_EAGER = False
CELERYD_CONCURRENCY = 4
BROKER_URL = "redis://"
CELERY_RESULT_DB_SHORT_LIVED_SESSIONS = True
"""
LOG = """[2026-01-01 10:00:00,000: INFO/MainProcess] Task same.add[a1] received
[2026-01-01 10:00:00,001: INFO/MainProcess] Task same.add[a1] succeeded in 0.5s: 3
[2026-01-01 10:00:01,000: INFO/MainProcess] Task same.fail[b2] received
[2026-01-01 10:00:01,500: ERROR/MainProcess] Task same.fail[b2] raised unexpected: ValueError()
Traceback (most recent call last):
ValueError
"""


@program
def commands_that_need_no_worker():
    with tempfile.TemporaryDirectory() as folder:
        old, log = Path(folder) / "old.py", Path(folder) / "worker.log"
        old.write_text(OLD_SETTINGS)
        log.write_text(LOG)
        found = {}
        for name, command in {
            "upgrade": ["upgrade", "settings", str(old), "--django"],
            "log stats": ["logtool", "stats", str(log)],
            "log traces": ["logtool", "traces", str(log)],
            "log errors": ["logtool", "errors", str(log)],
            "log incomplete": ["logtool", "incomplete", str(log)],
            "bootsteps": ["graph", "bootsteps", "worker"],
            "workers": ["graph", "workers", "nodes:1,2", "threads:2"],
            "names": ["multi", "names", "2"],
            "show": ["multi", "show", "2", "-c", "3"],
            "expand": ["multi", "expand", "2"],
            "list": ["list", "bindings"],
        }.items():
            code, out, _ = celery_command(*command)
            found[name] = [
                code,
                sorted(out.replace(folder, "F").replace(sys.executable, "P").splitlines()),
            ]
        found["bootsteps"] = found["bootsteps"][0]  # there are more here
        found["workers"] = [found["workers"][0], len(found["workers"][1])]  # they name the result backend
        return [found, sorted(path.name for path in Path(folder).iterdir()), old.read_text()]


@program
def shell():
    code = "print('seen', app.main, sorted(n for n in ('add', 'chain', 'group') if n in globals()), app is celery)\n"
    code += "print('got', add.delay(2, 3).get(30))\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "celery", "-A", "same", "shell", "--python"], input=code, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip
    return [done.returncode, [line.replace(">>> ", "") for line in done.stdout.splitlines() if "seen" in line or "got" in line]]


@program
def events_dumped():
    command = [sys.executable, "-u", "-W", "ignore", "-m", "celery", "-A", "same", "events", "--dump"]
    with tempfile.TemporaryFile("w+") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            end, kinds = time.monotonic() + 60, set()
            while len(kinds) < 4 and time.monotonic() < end:
                id = tasks.add.delay(1, 2)
                id.get(T)
                time.sleep(0.5)
                out.seek(0)
                text = out.read()
                kinds = {kind for kind in ("sent", "received", "started", "succeeded") if f"task {kind}: same.tasks.plain.add" in text}
        finally:
            process.terminate()
            process.wait(20)
    return sorted(kinds)


@program
def migrate():
    """To another number of database on the same server: stock Celery's messages go there, rows need not."""
    url = app.conf.broker_url
    code, _, err = celery_command("migrate", url, url.replace("virtual_host=0", "virtual_host=3"), "-Q", "never-read", "-t", "1")
    return [code, (err.strip().splitlines() or [""])[-1][:200]]
