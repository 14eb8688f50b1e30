"""The command line."""

import json
import subprocess
import sys

from celery import current_app

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
