"""What beat sends while PostgreSQL is away waits for it; every other caller is told at once. Redis is not asked."""

from pathlib import Path
from typing import Any

import celery
import pytest
from celery import signals
from celery.beat import Service
from django.db import OperationalError

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


def test_what_beat_sends_waits_for_postgresql(tried: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("waits", set_as_current=False)
    assert app.send_task("nap", (), {}, **OF_BEAT) == "sent"
    assert len({options["task_id"] for options in tried}) == 1  # a try whose answer was lost is the same job
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "nap" in caplog.text


def test_other_callers_are_told_at_once(tried: list[dict[str, Any]]) -> None:
    app = Celery("told", set_as_current=False)
    with pytest.raises(OperationalError):
        app.send_task("nap", (), {}, headers={"tenant": "a"})
    assert len(tried) == 1


def test_beat_sends_without_redis(tmp_path: Path) -> None:
    app = Celery("alone", set_as_current=False, broker="redis://127.0.0.1:1/0")
    app.conf.broker_connection_max_retries = 1  # or it would be asked for ever
    service = Service(app, schedule_filename=str(tmp_path / "schedule"))
    signals.beat_init.send(sender=service)
    assert service.scheduler.producer is None
