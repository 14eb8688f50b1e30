"""What the leader believes to lie in Redis, and how it tells that to PostgreSQL."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.db import connection

from jobs import enqueue
from jobs.celery_app.messages import Row
from jobs.leader import pick
from jobs.leader.window import MARK, Window, mark


@pytest.mark.django_db
def test_a_row_has_the_same_mark_here_and_there_whatever_its_number() -> None:
    rows = [(id, runs, 9) for id in (0, 1, 2**39 - 1, 2**39, 2**40 + 3, 2**60, 2**63 - 1, -1, -(2**63)) for runs in (0, 1, 2**20 + 7)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {MARK} FROM unnest(%s::bigint[], %s::int[], %s::smallint[]) WITH ORDINALITY j (id, runs, priority, at) ORDER BY at",
            [list(column) for column in zip(*rows, strict=True)],
        )
        assert [row[0] for row in cursor.fetchall()] == [mark(row) for row in rows]


def test_an_empty_lane_that_nobody_serves_is_forgotten() -> None:
    window = Window()
    for number in range(3):  # workers that come and go, each with a queue of its own
        queue = f"w{number}.dq"
        window.add((queue, 4), [(number, 0, 5)])
        assert window.resync({**{lane: [] for lane in window.lying}, (queue, 0): [], ("left", 4): [message(7)]}) != []
        window.settle(set())
    assert {lane: list(rows) for lane, rows in window.lying.items()} == {("left", 4): [(7, 0, 5)]}
    assert window.used(("w0.dq", 4)) == 0


@pytest.mark.parametrize(
    "message",
    [
        b'{"headers": {"job_id": 1e999, "runs": 1, "job_priority": 5}}',
        b"[" * 200_000,
        b'{"headers": {"job_id": 100000000000000000000, "runs": 1, "job_priority": 5}}',
        b'{"headers": {"job_id": 7, "runs": 3000000000, "job_priority": 5}}',
        b'{"headers": {"job_id": 7, "runs": 1, "job_priority": -1}}',
        b'{"headers": [], "body": 1}',
        b"\xff\xfe\x00",
    ],
    ids=lambda message: message[:40].decode("latin-1"),
)
@pytest.mark.django_db
def test_what_is_none_of_its_messages_does_not_stop_the_leader(message: bytes) -> None:
    window, own = Window(), b'{"headers": {"job_id": 7, "runs": 1, "job_priority": 5}}'
    assert window.resync({("celery", 4): [message, own]}) == []
    assert list(window.lying["celery", 4]) == [(7, 0, 5)]
    with connection.cursor() as cursor:
        assert pick.moved(cursor, window) == set()
        cursor.execute("SELECT %s::bigint[]", [window.marks()])


@pytest.mark.django_db
def test_long_arguments_are_read_one_by_one() -> None:
    """A window full of them together could be more than the memory of the leader takes."""
    text = "x" * 10_000_000
    long, short = enqueue("jobs.tasks.fail", kwargs={"message": "x"}), enqueue("jobs.tasks.fail", kwargs={"message": "y"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET args = json_build_array(%s::text), options = '{\"a\": 1}' WHERE id = %s", [text, long.id])
        cursor.execute(pick.PREPARE)
        cursor.execute(pick.DUE, pick.values_of_due({("celery", 4): 2}, {}, []))
        _, _, *values = zip(*cursor.fetchall(), strict=True)
        cursor.execute("DEALLOCATE ALL")
        first, second = (Row(*row) for row in zip(*values, strict=True))
        assert (first.id, first.args, first.kwargs, first.options) == (long.id, "", "", None)
        assert (second.id, second.args, second.kwargs) == (short.id, "[]", '{"message": "y"}')
        assert pick.whole(cursor, second) is second
        read = pick.whole(cursor, replace(first, alone=True))
        assert read == replace(first, args=json.dumps([text]), kwargs='{"message": "x"}', options='{"a": 1}', alone=True)
        cursor.execute("UPDATE jobs_job SET priority = 6 WHERE id = %s", [long.id])
        assert pick.whole(cursor, first) is None, "it was changed, and is picked again"


def message(id: int) -> bytes:
    return json.dumps({"headers": {"job_id": id, "runs": 1, "job_priority": 5}}).encode()


def test_what_was_pushed_first_leaves_first_after_a_reading_too() -> None:
    window, lane = Window(), ("celery", 4)
    window.resync({lane: [message(3), message(2), message(1)]})  # as LPUSH lays them
    assert window.lengths([lane], [1]) == 2
    assert window.left == {(1, 0, 5): lane, (2, 0, 5): lane}


def test_what_is_missing_and_waits_is_lost_when_it_does_so_twice() -> None:
    """A worker may have popped it a moment ago, and not claimed it yet."""
    window, lane = Window(), ("celery", 4)
    popped, lost, claimed = [(id, 0, 5) for id in (1, 2, 3)]
    window.add(lane, [popped, lost, claimed])
    assert window.resync({lane: []}) == [popped, lost, claimed]
    assert window.forget({popped, lost}) == 0
    assert (window.has(popped), window.has(lost), window.has(claimed)) == (True, True, False)
    assert window.resync({lane: []}) == [popped, lost]
    assert window.forget({lost}) == 1
    assert not window.left
    window.add(lane, [lost])  # sent again, popped again
    window.resync({lane: []})
    assert window.forget({lost}) == 0, "and it is counted anew"


def test_what_has_left_and_lies_there_again_is_not_lost() -> None:
    """A worker that was told to stop has put it back."""
    window, lane = Window(), ("celery", 4)
    window.add(lane, [(1, 0, 5)])
    assert window.lengths([lane], [0]) == 1
    assert window.resync({lane: [message(1)]}) == [], "there is nothing to be looked up"
    assert not window.left


def test_a_message_that_lies_there_for_long_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty workers have thousands of messages before them, and each second the leader looks at all of them."""
    window, lane, read = Window(), ("celery", 4), []
    monkeypatch.setattr("jobs.leader.window.json", SimpleNamespace(loads=lambda text: read.append(text) or json.loads(text)))
    for lying in ([2, 1], [3, 2, 1], [3, 2], [], [3]):
        window.resync({lane: [*map(message, lying), b"none of ours"]})
        assert [row[0] for row in window.lying.get(lane, ())] == lying[::-1]
    assert read == [b"none of ours", message(1), message(2), message(3), message(3)], "what has left is forgotten"
