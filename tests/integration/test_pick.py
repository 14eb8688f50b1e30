"""What the leader finds to be sent: not what may drag others along, and what was moved to another queue under its eyes."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import connection

from jobs import control
from jobs.celery_app.messages import Row
from jobs.leader import dispatch, election, pick
from jobs.leader.load import Load
from jobs.models import Job
from jobs.store import transitions
from jobs.store.transitions import Run
from tests.rows import job_in, task_id_of

pytestmark = pytest.mark.django_db(transaction=True)


class Redis:
    """Lanes in which everything stays; nobody takes anything out."""

    def __init__(self) -> None:
        self.lanes: dict[str, list[bytes]] = {}

    def ask_all(self, commands: list[tuple[Any, ...]], *, foreign: bool = False) -> list[Any]:
        return [self._answer(*command) for command in commands]

    def _answer(self, name: str, key: str = "", *values: Any) -> Any:
        if name == "LPUSH":
            self.lanes[key] = [*(value.encode() for value in reversed(values)), *self.lanes.get(key, [])]
        return {"LRANGE": self.lanes.get(key, []), "GET": None}.get(name, len(self.lanes.get(key, [])))


@pytest.fixture
def leader() -> Iterator[dispatch.Leader]:
    """One whose worker serves two queues and takes nothing."""
    session = election.connect()
    try:
        session.cursor().execute(election._SESSION)
        made = dispatch.Leader(session, mock.MagicMock(is_open=True, line=Redis()), Load(), again=False)
        made.rescue.live = {1: ["celery", "mail"]}
        yield made
    finally:
        session.close()


def sent(leader: dispatch.Leader) -> list[tuple[str, int, bool]]:
    """What lies in Redis: queue, number of the job, whether it is to run alone; the oldest first in each lane."""
    headers = [json.loads(message)["headers"] for lane in leader.link.line.lanes.values() for message in reversed(lane)]  # type: ignore[attr-defined]
    return [(told["job_queue"], told["job_id"], told["alone"]) for told in headers]


def send(leader: dispatch.Leader) -> None:
    """A tick that reads the lanes and sends what is due."""
    leader.synced = 0.0
    leader.look_for_suspect = True
    leader.fill(dispatch.time.monotonic())


def test_a_job_that_lost_two_workers_is_sent_alone_and_one_at_a_time(leader: dispatch.Leader) -> None:
    suspects, innocent = [job_in("pending").id for _ in range(2)], job_in("pending").id
    Job.objects.filter(id__in=suspects).update(losses=2)
    send(leader)
    assert sorted(sent(leader)) == sorted([("celery", suspects[0], True), ("celery", innocent, False)])
    Job.objects.filter(id=suspects[1]).update(priority=9)
    send(leader)
    assert suspects[1] not in [id for _, id, _ in sent(leader)], "the first of them is on its way"
    leader.link.line.lanes.clear()  # type: ignore[attr-defined]
    run, task_id = Run(id=suspects[0], runs=1), task_id_of(suspects[0])
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, run, task_id=task_id, worker=1, queue="celery", priority=5)
        send(leader)
        assert suspects[1] not in [id for _, id, _ in sent(leader)], "the first of them runs"
        assert transitions.complete(cursor, run, result=None)
    send(leader)
    assert ("celery", suspects[1], True) in sent(leader)


def test_a_job_that_is_moved_after_it_was_sent_is_sent_to_its_new_queue(leader: dispatch.Leader) -> None:
    """Nobody can claim it by the message that still lies in the old one."""
    moved, stays = job_in("pending").id, job_in("pending").id
    send(leader)
    assert control.change_queue([moved], "mail").done == [moved]
    for _ in range(2):
        send(leader)
    assert sorted(sent(leader)) == sorted([("celery", moved, False), ("celery", stays, False), ("mail", moved, False)])


def test_a_message_tells_the_age_of_its_row(leader: dispatch.Leader) -> None:
    """Its time, not its number: of two queues the retry of an old job is behind what was due before."""
    old, new = job_in("pending").id, job_in("pending", queue="mail").id
    Job.objects.filter(id=old).update(run_at="2026-01-02T03:04:05.678901Z")
    Job.objects.filter(id=new).update(run_at="2026-01-02T03:04:04Z")
    send(leader)
    lanes = leader.link.line.lanes  # type: ignore[attr-defined]
    assert [json.loads(message)["place"] for lane in lanes.values() for message in lane] == [[1767323044.0, new], [1767323045.678901, old]]
    assert [message.startswith(b'{"place": [176732304') for lane in lanes.values() for message in lane] == [True, True]


def test_what_was_told_is_asked_for_where_another_queue_of_the_worker_has_some(leader: dispatch.Leader) -> None:
    """Which of them is the older the insert does not tell."""
    leader.synced = 1.0

    def is_sent_blind(queue: str, priority: int, id: int) -> bool:
        leader.told.job = queue, Row(id, "a", "b", "[]", "{}", 0, 0, 3, None, True, None, priority)
        return leader.send_told(leader.looked + 1) or bool(leader.window.used((queue, 9 - priority)))

    assert is_sent_blind("mail", 5, 1)
    assert not is_sent_blind("celery", 5, 2)
    assert is_sent_blind("celery", 9, 3)
    leader.rescue.live = {1: ["celery"], 2: ["mail"]}
    assert is_sent_blind("celery", 5, 4)


def test_what_many_workers_have_room_for_is_sent_in_parts_the_highest_lanes_first(leader: dispatch.Leader) -> None:
    """Thirty workers of forty queues have room for tens of thousands: a standby took the leader that sent them for stopped."""
    leader.rescue.live = {number: ["celery", "mail"] for number in range(100)}
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, priority) SELECT 't', 1 FROM generate_series(1, %s)", [pick.MOST + 10])
        cursor.execute("INSERT INTO jobs_job (task, queue, priority) SELECT 't', 'mail', 0 FROM generate_series(1, 30)")
    assert leader.fill(dispatch.time.monotonic()), "there is more"
    assert [queue for queue, _, _ in sent(leader)] == ["celery"] * pick.MOST
    assert not leader.fill(leader.synced)
    numbers = [id for _, id, _ in sent(leader)]
    assert sorted(numbers) == list(Job.objects.order_by("id").values_list("id", flat=True)), "each once"


def test_a_leader_that_reads_many_lanes_says_that_it_is_there(leader: dispatch.Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "STILL_HERE", -1.0)
    leader.cursor = mock.Mock(wraps=leader.cursor)
    leader.resync()
    assert leader.cursor.execute.mock_calls.count(mock.call("SELECT 1")) > 20, "after each part that was read, and between lanes"
