"""Who is told of a body that was interrupted because somebody has asked for it."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from celery import signals

from jobs.celery_app import process_engine, settle, terminated


@pytest.mark.parametrize(
    ("alone", "by_celery", "won", "ends", "told"),
    [
        (True, True, True, ("Revoked", "terminated"), [(True, 15, False)]),
        (True, True, False, ("Revoked", "terminated"), []),  # somebody else has ended it
        (True, False, True, ("JobCancelled", "The job was cancelled while it ran."), []),
        (False, True, True, ("Revoked", "terminated"), []),  # Celery's own part tells
    ],
)
def test_in_threads_a_termination_is_told_of_once(
    alone: bool, by_celery: bool, won: bool, ends: tuple[str, str], told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []
    eventer = SimpleNamespace(enabled=True, send=lambda kind, **said: events.append((kind, said)))
    engine = SimpleNamespace(alone=alone, write=lambda change, **_: by_celery, eventer=lambda: eventer)
    written: list[Any] = []
    monkeypatch.setattr(process_engine, "_engine", [engine])
    monkeypatch.setattr(settle, "cancelled", lambda _outcome, *end: written.append(end) or won)
    task = mock.Mock()
    task.request.id = "an id"
    heard: list[Any] = []

    def hear(sender: Any, request: Any, terminated: bool, signum: int, expired: bool, **_: Any) -> None:
        if sender is task and request is task.request:
            heard.append((terminated, signum, expired))

    signals.task_revoked.connect(hear, weak=False)
    try:
        terminated.end(task, SimpleNamespace(run=None))
    finally:
        signals.task_revoked.disconnect(hear)
    assert (written, heard) == ([ends], told)
    assert [(kind, said["uuid"], said["terminated"]) for kind, said in events] == [("task-revoked", "an id", True)] * len(told)
