"""The worker's prepared statements: a worker that started on an empty table keeps the plans that were made then."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from jobs import enqueue_many
from jobs.domain.statuses import Status
from jobs.store import engine, prepared
from jobs.store.transitions import Run
from jobs.worker import flush
from jobs.worker.flush import Change
from tests.rows import task_id_of

pytestmark = pytest.mark.django_db(transaction=True)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def rows_read_in_vain(cursor: Any, statement: str, values: Any) -> int:
    cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, values)
    found = cursor.fetchone()[0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return sum(node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0) for node in nodes(plan))


def test_a_plan_of_the_empty_table_does_not_read_the_full_one() -> None:
    with closing(engine.connect("test of kept plans")) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job SET (autovacuum_enabled = false)")  # an ANALYZE would have the plans made again
        try:
            cursor.execute("TRUNCATE jobs_job CASCADE")
            cursor.execute(flush.SESSION)
            cursor.execute(flush.PREPARE)
            nobody = [Change(Run(id=1, runs=1), "nobody", "celery")]
            count = ([1], [1], ["1"], ["no-such-chord"], [0], ["1"], 7)
            cursor.execute(*flush.batch([Change(Run(id=2, runs=1), "1")], nobody, 7, resent=False))
            cursor.execute(*flush.batch([], nobody, 7, resent=False))
            cursor.execute(flush.EXECUTE_COUNT, count)
            ids = enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3000)
            end = Change(Run(id=ids[0], runs=1), "1")
            start, lone = (Change(Run(id=id, runs=1), task_id_of(id), "celery", 5) for id in ids[-2:])
            assert rows_read_in_vain(cursor, *flush.batch([end], [start], 7, resent=False)) <= 10
            assert rows_read_in_vain(cursor, *flush.batch([], [lone], 7, resent=False)) == 0
            assert rows_read_in_vain(cursor, flush.EXECUTE_COUNT, ([ids[0]], *count[1:])) <= 10
            cursor.execute("SELECT status FROM jobs_job WHERE id = ANY (%s)", [ids[-2:]])
            assert cursor.fetchall() == [(Status.RUNNING.value,)] * 2
        finally:
            cursor.execute("ALTER TABLE jobs_job RESET (autovacuum_enabled)")


def test_the_same_of_a_process_that_moves_one_job_at_a_time() -> None:
    with closing(engine.connect("test of kept plans")) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job SET (autovacuum_enabled = false)")
        try:
            cursor.execute("TRUNCATE jobs_job CASCADE")
            cursor.execute(prepared.PREPARE)
            assert not prepared.claim(cursor, Run(id=1, runs=1), task_id="nobody", worker=7, queue="celery", priority=5)
            assert not prepared.complete(cursor, Run(id=1, runs=1, worker=7), result="1")
            number = enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3000)[-1]
            name = task_id_of(number)
            claim, complete = (number, 1, 7, "celery", 5, name), (number, 1, "1", 7)
            assert rows_read_in_vain(cursor, prepared.EXECUTE_CLAIM, claim) <= 2
            assert not prepared.claim(cursor, Run(id=number, runs=1), task_id=name, worker=7, queue="celery", priority=5)  # it is claimed
            assert rows_read_in_vain(cursor, prepared.EXECUTE_COMPLETE, complete) <= 2
            assert not prepared.complete(cursor, Run(id=number, runs=1), result="2")
            cursor.execute("SELECT status, runs, attempts, worker, result::text FROM jobs_job WHERE id = %s", [number])
            assert cursor.fetchone() == (Status.COMPLETED.value, 1, 1, 7, "1")
        finally:
            cursor.execute("ALTER TABLE jobs_job RESET (autovacuum_enabled)")
