"""What the leader believes to lie in Redis, and how it tells that to PostgreSQL."""

import pytest
from django.db import connection

from jobs.leader.window import MARK, mark


@pytest.mark.django_db
def test_a_row_has_the_same_mark_here_and_there_whatever_its_number() -> None:
    rows = [(id, runs, 9) for id in (0, 1, 2**39 - 1, 2**39, 2**40 + 3, 2**60, 2**63 - 1, -1, -(2**63)) for runs in (0, 1, 2**20 + 7)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {MARK} FROM unnest(%s::bigint[], %s::int[], %s::smallint[]) WITH ORDINALITY j (id, runs, priority, at) ORDER BY at",
            [list(column) for column in zip(*rows, strict=True)],
        )
        assert [row[0] for row in cursor.fetchall()] == [mark(row) for row in rows]
