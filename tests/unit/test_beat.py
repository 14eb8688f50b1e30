"""What beat sends while PostgreSQL is away waits for it; every other caller is told at once. Redis is not asked."""

import itertools
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import celery
import pytest
from celery import signals
from celery.beat import Service
from django.db import Error, IntegrityError, InternalError, OperationalError

from jobs import Celery
from jobs.celery_app import beat

OF_BEAT = {"headers": {"celery_beat_task": True}}


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each try, of which the first two find no PostgreSQL."""
    made: list[dict[str, Any]] = []

    def send_task(self: Any, name: str, *args: Any, **options: Any) -> str:
        made.append(options)
        if len(made) < 3:
            raise OperationalError("connection refused")
        return "sent"

    monkeypatch.setattr(celery.Celery, "send_task", send_task)
    monkeypatch.setattr(beat, "PAUSE_S", 0)
    return made


def beat_of(app: Any, folder: Path) -> Service:
    """As `celery beat` makes it."""
    app.conf.broker_connection_max_retries = 1  # or Redis would be asked for ever
    service = Service(app, schedule_filename=str(folder / "schedule"))
    signals.beat_init.send(sender=service)
    return service


def test_what_beat_sends_waits_for_postgresql(tried: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("waits", set_as_current=False)
    beat_of(app, tmp_path)
    assert app.send_task("nap", (), {}, **OF_BEAT) == "sent"
    assert len({options["task_id"] for options in tried}) == 1  # a try whose answer was lost is the same job
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "nap" in caplog.text


class Refused(Exception):
    """What a driver raises, as far as it is looked at."""

    def __init__(self, code: str) -> None:
        self.sqlstate = code


@pytest.mark.parametrize(
    ("code", "error", "tries"),
    [("25006", InternalError, 2), ("53100", OperationalError, 2), ("54000", OperationalError, 1), ("23514", IntegrityError, 1)],
    ids=["read-only", "disk full", "too long for an index", "a constraint"],
)
def test_it_waits_for_what_passes_and_not_for_an_entry_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, code: str, error: type[Error], tries: int
) -> None:
    """One entry with values that PostgreSQL never takes would keep back all others."""
    monkeypatch.setattr(beat, "PAUSE_S", 0)
    refused = error("refused")
    refused.__cause__ = Refused(code)
    send = mock.Mock(side_effect=[refused, "sent"])
    with pytest.raises(error) if tries == 1 else nullcontext():
        assert beat.patiently("nap", send) == "sent"
    assert send.call_count == tries


def test_it_says_so_again_each_minute(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(beat, "PAUSE_S", 0)
    monkeypatch.setattr(beat.time, "monotonic", itertools.count(0, 20).__next__)
    assert beat.patiently("nap", mock.Mock(side_effect=[OperationalError("refused")] * 5 + ["sent"])) == "sent"
    assert 1 < len(caplog.records) < 5


def test_other_callers_are_told_at_once(tried: list[dict[str, Any]], tmp_path: Path) -> None:
    app = Celery("told", set_as_current=False)
    beat_of(app, tmp_path)
    with pytest.raises(OperationalError):
        app.send_task("nap", (), {}, headers={"tenant": "a"})
    assert len(tried) == 1


def test_beat_sends_without_redis(tmp_path: Path) -> None:
    app = Celery("alone", set_as_current=False, broker="redis://127.0.0.1:1/0")
    assert beat_of(app, tmp_path).scheduler.producer is None
