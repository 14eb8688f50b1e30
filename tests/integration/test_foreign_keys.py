"""A key of a lane under which somebody else's value lies: the other lanes go on, and the log and `/readyz` name it."""

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.conf import settings

from jobs import enqueue
from jobs.celery_app import lanes
from jobs.leader import election, publish
from jobs.leader.dispatch import Leader, time
from jobs.leader.link import Link
from jobs.leader.load import Load
from jobs.store import broker
from jobs.worker.popper import Popper
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
LANES = [("celery", 4), ("celery", 9), ("other", 4)]
KEYS = ["jobs:celery\x06\x164", "jobs:celery\x06\x169", "jobs:other\x06\x164"]


@pytest.fixture
def client() -> Iterator[Any]:
    client = broker.client(settings.CELERY_BROKER_URL)
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture
def leader() -> Iterator[Leader]:
    session, link = election.connect(), Link(current_app.conf)
    try:
        assert election.elect(session, threading.Event())
        leader = Leader(session, link, Load(), again=False)
        leader.rescue.live = {1: ["celery", "other"]}
        until(lambda: link.is_open)
        yield leader
    finally:
        link.close()
        session.close()


def tick(leader: Leader) -> None:
    """One that reads the lanes, and makes no look, so that the workers stay."""
    leader.looked, leader.synced = time.monotonic(), 0.0
    leader.tick()


@pytest.mark.parametrize("many", [True, False], ids=["LMPOP", "BRPOP"])
def test_it_holds_up_no_other_lane(client: Any, leader: Leader, many: bool, caplog: pytest.LogCaptureFixture) -> None:
    client.set(KEYS[0], "mine")
    ids = [enqueue("jobs.tasks.sleep", args=[0], queue=queue, priority=9 - lane).id for queue, lane in LANES]
    popper = Popper(client, SimpleNamespace(open=False, end=lambda: None))
    popper.many = many
    tick(leader)
    taken = [popper.pop(KEYS, 1) for _ in LANES[1:]]
    assert [key for key, _ in taken] == KEYS[1:]
    assert [json.loads(message)["headers"]["job_id"] for _, [message] in taken] == ids[1:]
    trouble = leader.link.trouble(time.monotonic())
    assert trouble is not None
    assert repr(KEYS[0]) in trouble[0]
    for complaint in (leader.complaint, popper.complaint):
        assert any(line.startswith(complaint.words) and repr(KEYS[0]) in line for line in caplog.messages)
    client.delete(KEYS[0])
    tick(leader)
    assert leader.window.used(LANES[0]) == 1
    assert popper.pop(KEYS, 1)[0] == publish.key(LANES[0])


def test_one_that_comes_between_a_look_and_a_push_is_named_too(client: Any, leader: Leader) -> None:
    tick(leader)
    client.set(KEYS[0], "mine")
    enqueue("jobs.tasks.sleep", args=[0])
    leader.tick()
    assert repr(KEYS[0]) in leader.link.refusal
    other = enqueue("jobs.tasks.sleep", args=[0], queue="other").id
    until(lambda: leader.link.is_open)
    tick(leader)
    assert [sent[0] for sent in leader.window.lying["other", 4]] == [other]


def test_pages_do_not_take_it_for_a_redis_that_is_away(client: Any) -> None:
    client.set(KEYS[0], "mine")
    assert lanes.place_of(1, "celery", 5) == 0
    assert lanes.lengths(["celery"]) == {("celery", priority): 0 for priority in range(10)}
