"""Passwords in the addresses of servers are in no error, log or debug page."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.test import RequestFactory
from django.views.debug import get_default_exception_reporter_filter, get_exception_reporter_class

from task_queue_project import servers

ROOT = Path(__file__).resolve().parents[2]
WORD = "hunter2-secret"
AWAY = {"DATABASE_URL": f"postgres://sara:{WORD}@127.0.0.1:9/x", "REDIS_URL": f"redis://sara:{WORD}@127.0.0.1:9/0"}
UNREADABLE = {"DATABASE_URL": f"postgres://sara:{WORD}@127.0.0.1:nine/x", "REDIS_URL": f"redis://sara:{WORD}@127.0.0.1:nine/0"}
WORKER = ["-m", "celery", "-A", "task_queue_project", "worker", "-P", "gevent", "-c", "1"]


def test_no_command_shows_a_password(tmp_path: Path) -> None:
    """All at once: each waits some seconds for its servers."""
    tried = [(["manage.py", "jobs"], AWAY), (["manage.py", "migrate"], UNREADABLE), (WORKER, UNREADABLE)]
    running = [
        subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=os.environ | environ | {"DATA_DIR": str(tmp_path)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for words, environ in tried
    ]  # fmt: skip
    for process in running:
        said = process.communicate(timeout=60)[0]
        assert process.returncode != 0
        assert "127.0.0.1:9" in said or "DATABASE_URL" in said
        assert WORD not in said


def test_a_debug_page_shows_no_address(settings: Any, rf: RequestFactory) -> None:
    settings.DEBUG = True
    settings.SERVERS = servers.find(AWAY, Path("/nowhere"))
    settings.CELERY_BROKER_URL = settings.REDIS_URL = AWAY["REDIS_URL"]
    settings.JOBS_DATABASE_DIRECT_URL = AWAY["DATABASE_URL"]
    request = rf.get("/", **AWAY)
    try:
        raise ValueError("for the page")
    except ValueError:
        page = get_exception_reporter_class(request)(request, *sys.exc_info()).get_traceback_html()
    assert "CELERY_BROKER_URL" in page
    assert "for the page" in page
    assert WORD not in page
    assert "BROKER" in get_default_exception_reporter_filter().hidden_settings.pattern
