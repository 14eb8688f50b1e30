"""Which jobs a worker begins with in the slot of the one before, and which wait in their rows."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from celery import current_app
from celery.worker import state

from jobs.store.insert import NewJob
from jobs.tasks import sleep
from jobs.worker.admission import Admission
from jobs.worker.hand_over import HandOver

NEXT = NewJob(task=sleep.name, task_id="next")


@pytest.fixture
def hand_over() -> HandOver:
    """That of a worker with two slots, which serves one queue and takes messages."""
    made = HandOver(SimpleNamespace(admission=Admission(2)))
    made.consumer = SimpleNamespace(app=current_app, strategies={sleep.name: None}, task_buckets={})
    made.channel = SimpleNamespace(_active_queues={"celery"})
    return made


def asked(hand_over: HandOver, new: NewJob = NEXT) -> list[str]:
    """What a greenlet that holds a slot is told."""

    def ask() -> list[str]:
        hand_over.worker.admission.enter(gevent.getcurrent())
        return list(hand_over.queues(new))

    found: list[str] = gevent.spawn(ask).get(timeout=5)
    return found


def test_beside_a_job_that_is_to_run_alone_no_other_begins(hand_over: HandOver) -> None:
    assert asked(hand_over) == ["celery"]
    hand_over.alone = True
    assert asked(hand_over) == []


def test_what_has_to_wait_in_its_row_is_not_handed_on(hand_over: HandOver, monkeypatch: pytest.MonkeyPatch) -> None:
    """For its time, its turn or another worker; or a worker is to look whether it may begin at all."""
    expires = '{"headers": {"expires": "2031-01-01"}}'
    for changes in ({"run_at": datetime.now(UTC)}, {"options": expires}, {"queue": "another"}, {"task": "nobody.knows"}):
        assert asked(hand_over, replace(NEXT, **changes)) == [], changes
    monkeypatch.setattr(state, "revoked", {"next"})
    assert asked(hand_over) == []
    assert asked(hand_over, replace(NEXT, task_id="other")) == ["celery"]
    hand_over.consumer.task_buckets[sleep.name] = "a rate limit"
    assert asked(hand_over, replace(NEXT, task_id="other")) == []


def test_a_worker_that_has_fewer_slots_by_now_fills_none_of_those_that_it_lost(hand_over: HandOver) -> None:
    """`pool_shrink` ends nothing that runs: its end frees a slot that is none any more."""
    admission = hand_over.worker.admission
    others: list[Any] = [gevent.spawn(gevent.sleep, 60)]
    admission.enter(others[0])
    assert asked(hand_over) == ["celery"], "two run in two slots"
    admission.size = 1
    assert asked(hand_over) == [], "two run, and there is one slot"
    gevent.killall(others)
    assert asked(hand_over) == ["celery"]
