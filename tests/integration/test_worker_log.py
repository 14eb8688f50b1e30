"""The leader beside a worker writes where the worker does, also where nobody reads its standard error."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path

import pytest
from celery import current_app
from celery.app.log import Logging
from django.conf import settings
from django.db import connection

from jobs.store import broker
from jobs.worker import log
from tests.waiting import until
from tests.workers import ROOT, environment

LEADS = "jobs.leader.terms: This process is the leader now"


@contextmanager
def own_root() -> Iterator[logging.Logger]:
    """The root logger as the settings have made it, without pytest's own handlers, and as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [logging.StreamHandler()]
    root.handlers[0].setFormatter(logging.Formatter("own %(message)s"))
    root.setLevel(logging.INFO)
    try:
        yield root
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


def test_a_worker_knows_the_file_that_celery_has_opened_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Logging, "_setup", False)
    monkeypatch.setattr(Logging, "setup_task_loggers", lambda *args, **options: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with own_root():
        assert log.place() == (None, logging.INFO)
        current_app.log.setup_logging_subsystem("ERROR", str(tmp_path / "%n%I.log"), hostname="one@here")
        assert log.place() == (str(tmp_path / "one.log"), logging.ERROR)


def test_its_neighbour_writes_there_from_its_level_on_and_after_a_rotation(tmp_path: Path) -> None:
    file, other = tmp_path / "log", logging.NullHandler()
    with own_root() as root:
        root.addHandler(other)
        for _ in range(2):
            log.write_to(str(file), logging.WARNING)
        root.info("not this")
        root.warning("before")
        file.rename(tmp_path / "log.1")
        root.warning("after")
        assert root.handlers[0] is other, "what else the settings write to"
        assert [type(handler) for handler in root.handlers[1:]] == [WatchedFileHandler]
    assert (file.read_text(), (tmp_path / "log.1").read_text()) == ("own after\n", "own before\n")


def test_a_file_that_cannot_be_opened_costs_no_leader(tmp_path: Path) -> None:
    with own_root() as root:
        console = root.handlers[0]
        log.write_to(str(tmp_path / "missing" / "log"), logging.ERROR)
        assert (root.handlers, root.level) == ([console], logging.ERROR)


@pytest.mark.django_db(transaction=True)
def test_beside_a_worker_without_a_terminal(tmp_path: Path) -> None:
    """As `celery multi` starts it. Then its log is rotated, and the leader has something to say."""
    file, number = tmp_path / "one.log", tmp_path / "pid"
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    command = [sys.executable, "-m", "celery", "-A", "task_queue_project", "worker", "-l", "INFO", "-P", "gevent", "-c", "2"]
    options = ["-n", "one@here", "--detach", f"--logfile={tmp_path}/%n%I.log", f"--pidfile={number}"]
    subprocess.run([*command, *options], cwd=ROOT, env=environment(), check=True, timeout=60)
    try:
        until(lambda: file.exists() and LEADS in file.read_text(), timeout=60)
        until(lambda: " ready." in file.read_text(), timeout=60)
        file.rename(tmp_path / "one.log.1")
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND starts_with(application_name, 'jobs leader')"""
            )
        until(lambda: file.exists() and LEADS in file.read_text(), timeout=30)
        assert "The leader starts over" in file.read_text()
    finally:
        until(number.exists, timeout=30)
        worker = int(number.read_text())
        os.kill(worker, signal.SIGTERM)
        until(lambda: _is_gone(worker), timeout=60)


def _is_gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True
