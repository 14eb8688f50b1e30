"""What the leader believes to lie in Redis, and how it tells that to PostgreSQL."""

import pytest
from django.db import connection

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
    window, message = Window(), b'{"headers": {"job_id": 7, "runs": 1, "job_priority": 5}}'
    for number in range(3):  # workers that come and go, each with a queue of its own
        queue = f"w{number}.dq"
        window.add((queue, 4), [(number, 0, 5)])
        assert window.resync({**{lane: [] for lane in window.lying}, (queue, 0): [], ("left", 4): [message]}) != []
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
