"""Each job that ran or waited since the oldest open snapshot has an entry in the index of those that do: who names a row reads none."""

import pytest
from django.db import connection

from jobs.leader import look, pick
from jobs.store.insert import NewJob
from jobs.store.links import begun_here
from jobs.store.transitions import Run
from jobs.worker import flush, registration
from tests.proof.plans import caught, explain, prepared, verbs

pytestmark = pytest.mark.django_db
OLD = 5_000  # jobs that have ended; their entries cannot be removed as long as this transaction lasts
_FILL = f"""
TRUNCATE jobs_job RESTART IDENTITY CASCADE;
INSERT INTO jobs_job (task) SELECT 't.nap' FROM generate_series(1, {OLD + 3});
UPDATE jobs_job SET status = 'running', runs = 1, attempts = 1, worker = 7, started_at = created_at WHERE id <= {OLD + 1};
UPDATE jobs_job SET status = 'completed', finished_at = now() WHERE id <= {OLD};
ANALYZE jobs_job"""
RUN, WAITING = Run(id=OLD + 1, runs=1, worker=7), [OLD + 2, OLD + 3]


@pytest.fixture(autouse=True)
def _old() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FILL)


def read(statement: str, values: object = (), session: str = "") -> tuple[set[str], int]:
    """The indexes of all that run or wait that are read, and the pages."""
    plan = explain(statement, values, session)
    return plan.indexes & {"jobs_job_held", "jobs_job_due"}, plan.buffers


# To hand over is to ask for what waits (and how long that takes); to reprocess is for what has ended.
@pytest.mark.parametrize("name", sorted(verbs(RUN, WAITING).keys() - {"hand over", "reprocess"}))
def test_every_verb_reads_its_row_alone(name: str) -> None:
    for statement in caught(verbs(RUN, WAITING)[name]):
        indexes, pages = read(statement.replace("%", "%%"))
        assert (indexes, pages <= 400) == (set(), True), (statement, pages)


def test_so_do_the_leader_that_asks_what_was_claimed_and_a_worker_that_asks_what_it_began() -> None:
    with connection.cursor() as cursor:
        assert pick.pending(cursor, [(id, 0, 5) for id in (1, RUN.id, *WAITING)]) == {(id, 0, 5) for id in WAITING}
    assert read(pick.UNCLAIMED, [[1, RUN.id, *WAITING]])[0] == set()
    [asked] = caught(lambda cursor: begun_here(cursor, NewJob(task="t.nap", task_id="none"), 7))
    assert read(asked)[0] == set()


def test_so_do_the_brief_looks_of_leader_and_worker() -> None:
    assert read(look.LOOK)[0] == read(registration._WHOLE, {"id": 7})[0] == {"jobs_job_held"}
    assert read(look.BRIEF)[0] == read(registration._BRIEF, {"id": 7, "held": [1, RUN.id, *WAITING]})[0] == set()
    with connection.cursor() as cursor:
        assert (look.look(cursor).holders, look.look(cursor, {9}).holders) == ({7}, {9})
        cursor.execute(registration._BRIEF, {"id": 7, "held": [1, RUN.id, *WAITING]})
        assert [row[:2] for row in cursor.fetchone()[3]] == [[RUN.id, 1]]


def test_so_does_a_worker_that_counts_tasks_of_chords() -> None:
    with prepared():
        none = ([RUN.id], [9], ["1"], ["no-such-chord"], [0], ["1"], 7)
        assert read(flush.EXECUTE_COUNT, none, flush.SESSION)[0] == set()
