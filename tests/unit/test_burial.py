"""The CRITICAL record of a dead letter, beside a program that makes events of records."""

import logging
import sys
from types import SimpleNamespace

import pytest

from jobs.celery_app import burial
from jobs.store.transitions import Failure, Run


@pytest.mark.parametrize(("by_task", "ignored"), [(True, ["jobs.worker.burial"]), (False, [])])
def test_sentry_makes_no_second_event_of_what_a_task_raised(
    by_task: bool, ignored: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What no task raised (a process that was killed) has no other event."""
    told: list[str] = []
    monkeypatch.setitem(sys.modules, "sentry_sdk.integrations.logging", SimpleNamespace(ignore_logger=told.append))
    burial.log(Run(id=7, runs=1, worker=1), "shop.pay", Failure(error_class="KeyError", message="'box'"), by_task=by_task)
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage() == "job 7 (shop.pay) failed for good and is in the Dead Letter Queue: KeyError: 'box'"
    assert told == ignored
    assert record.name == (told or ["jobs.worker"])[0]
