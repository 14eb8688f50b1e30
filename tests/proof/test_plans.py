"""The hot statements on a big table: each reads the index that was made for it, and no more pages than stated here.

200,000 rows; `make proof` does the same with a million.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.domain.priority import LANES
from jobs.domain.statuses import HELD
from jobs.leader import election, look, pick, prune, rescue
from jobs.models import DeadLetterQueue, Job
from jobs.store import deadline, links, queues
from jobs.store.transitions import Run
from jobs.worker import flush
from jobs.worker.flush import Change
from tests.proof.plans import NEXT, caught, explain, prepared, verbs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("big")]
ROWS = 1_000_000 if os.environ.get("PROOF") == "full" else 200_000
WINDOW = 64
# Half of it waits and is due, a tenth is scheduled, the rest has ended; 40 run, 20 lost two workers.
_FILL = f"""
INSERT INTO jobs_job (task, name, priority, status, run_at, runs, attempts, losses, started_at, finished_at, worker, deadline_at)
SELECT 't.nap', 'job ' || n, n % 10, status,
       now() - make_interval(secs => n % 100000) + CASE WHEN n % 10 = 5 THEN interval '2 days' ELSE '0' END, once, once,
       CASE WHEN n <= 20 THEN 2 ELSE 0 END, CASE once WHEN 1 THEN now() - interval '1 hour' END,
       CASE WHEN status NOT IN ('pending', 'running') THEN now() - make_interval(secs => n % 100000 * 30) END,
       CASE status WHEN 'running' THEN n % 8 END, CASE status WHEN 'running' THEN now() + interval '1 hour' END
  FROM (SELECT n, status, CASE status WHEN 'pending' THEN 0 ELSE 1 END AS once
          FROM (SELECT n, CASE WHEN n > {ROWS} - 40 THEN 'running' WHEN n % 10 < 6 THEN 'pending' WHEN n % 10 < 9 THEN 'completed'
                               WHEN n % 20 = 9 THEN 'failed' ELSE 'cancelled' END AS status FROM generate_series(1, {ROWS}) n) a) b"""


@pytest.fixture(scope="module")
def big(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The big table, filled once for the module."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job RESTART IDENTITY CASCADE; " + _FILL)
        cursor.execute("VACUUM (ANALYZE) jobs_job")
        cursor.execute(pick.PREPARE)
        yield
        cursor.execute("DEALLOCATE ALL")
        cursor.execute("TRUNCATE jobs_job CASCADE")


QUEUE = [("celery", lane) for lane in LANES]


def due(place: pick.Place) -> list[Any]:
    return pick.values_of_due(dict.fromkeys(QUEUE, WINDOW), dict.fromkeys(QUEUE, place), range(256))


IDS = list(range(ROWS // 2, ROWS // 2 + 64))
RUN = Run(id=ROWS - 1, runs=1)
LATER = {"queues": ["celery", "other"], "held": HELD, "most": 1_000}
WORKER, LEADER = flush.SESSION, election._SESSION
# name: (statement, values, settings of the session, the index, pages that may be read)
READS: dict[str, tuple[str, Any, str, str, int]] = {
    "pick, ten full lanes from the front": (pick.DUE, due(pick.START), LEADER, "jobs_job_due", 1_400),
    "pick, from a place half-way": (pick.DUE, due(("-infinity", ROWS // 2)), LEADER, "jobs_job_due", 1_400),
    "next job that becomes due": (pick.NEXT, pick.values_of_next(QUEUE), LEADER, "jobs_job_due", 80),
    "a suspect": (pick.SUSPECT, [["celery"]], LEADER, "jobs_job_suspect", 80),
    "which are claimed": (pick.UNCLAIMED, [IDS], LEADER, "jobs_job_pkey", 320),
    "the leader's look": (look.LOOK, [], LEADER, "jobs_job_held", 160),
    "jobs of dead workers": (rescue._LOST, [[1, 2]], LEADER, "jobs_job_held", 80),
    "jobs past their deadline": (rescue._LATE, [[]], LEADER, "jobs_job_held", 80),
    "what ran when the clock was set": (deadline._BEGUN, [0.0], LEADER, "jobs_job_held", 80),
    "what a worker holds": (
        "SELECT id, runs FROM jobs_job WHERE worker = %s AND status = 'running'", [1], WORKER, "jobs_job_held", 80,
    ),
    "what is due later, as Celery inspects it": (queues.DUE_LATER, LATER, "", "jobs_job_due", 4_500),
    "what can be pruned": (prune._OLD, ["completed", "-infinity", 7 * 86400], "", "jobs_job_ended", 3_000),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_the_engine_reads_its_index(name: str) -> None:
    statement, values, session, index, most = READS[name]
    plan = explain(statement, values, session)
    assert index in plan.indexes
    assert plan.scanned <= {"jobs_worker", "pg_authid"}  # a few rows, all of them wanted
    assert plan.buffers <= most


def test_a_batch_of_claims_and_completions_reads_their_rows_only() -> None:
    """Four of each, prepared as in a worker; each row changed costs its entry in five indexes."""
    with prepared() as cursor:
        cursor.execute(
            "SELECT id, task_id, priority FROM jobs_job WHERE status = 'pending' AND run_at < now() AND id > %s LIMIT 4", [ROWS // 2]
        )
        waiting = cursor.fetchall()
        cursor.execute("SELECT id FROM jobs_job WHERE status = 'running' AND worker = 1 LIMIT 4")
        running = [row[0] for row in cursor.fetchall()]
        ends = [Change(Run(id=id, runs=1), "1") for id in running]
        starts = [Change(Run(id=id, runs=1), task_id, "celery", priority) for id, task_id, priority in waiting]
        plan = explain(*flush.batch(ends, starts, 1, resent=False), WORKER)
    assert (len(waiting), len(running)) == (4, 4)
    assert plan.indexes >= {"jobs_job_pkey"}
    assert plan.scanned == set()
    assert plan.buffers <= 500


def test_every_verb_finds_its_row_by_the_key() -> None:
    """Caught as the verbs send them, then explained."""
    for name, verb in verbs(RUN, IDS).items():
        for statement in caught(verb):
            plan = explain(statement.replace("%", "%%"), [], WORKER)
            assert plan.scanned - {"jobs_worker"} == set(), (name, statement)
            assert plan.buffers <= 64 * 40, (name, statement, plan.buffers)


# address: pages that the query for its rows may read
PAGES = {
    "/jobs/": 40, f"/jobs/?before={ROWS // 2}": 40, f"/jobs/?after={ROWS // 2}": 40, "/jobs/?status=failed": 400,
    "/jobs/dead-letters/": 40, "/jobs/workers/": 120, f"/jobs/{ROWS // 2}/": 800, "/admin/jobs/job/": 80,
    f"/admin/jobs/job/{ROWS // 2}/change/": 40,
}  # fmt: skip


def test_the_rows_of_a_page_are_found_by_an_index() -> None:
    """The numbers above the lists count everything; they are not meant here."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("sara", password="x"))
    for address, most in PAGES.items():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        asked = [query["sql"] for query in captured.captured_queries if _reads_rows(query["sql"])]
        assert asked, address
        for statement in asked:
            plan = explain(statement.replace("%", "%%"), [], "")
            assert "jobs_job" not in plan.scanned, (address, statement)
            assert plan.buffers <= most, (address, plan.buffers, statement)


def _reads_rows(statement: str) -> bool:
    tables = (Job._meta.db_table, DeadLetterQueue._meta.db_table)
    return any(table in statement for table in tables) and "COUNT(" not in statement.upper()


def test_what_outranks_a_link_is_looked_up_and_not_read_through() -> None:
    """All that waits in its queue is scheduled for later, in each priority: one look at each.

    It stands last: its dead rows are at the end of the table.
    """

    def verb(cursor: Any) -> bool:
        linked = links.complete_handing_on(cursor, RUN, result="1", meta=None, new=NEXT, worker=7, queues=["later"])
        return linked is not None and linked.begun > 0

    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT later")
        cursor.execute(
            """INSERT INTO jobs_job (task, queue, priority, run_at)
               SELECT 't.nap', 'later', n %% 10, now() + interval '1 day' FROM generate_series(1, %s) n""",
            [ROWS // 10],
        )
        (statement,) = caught(verb)
        plan = explain(statement.replace("%", "%%"), [], WORKER)
        cursor.execute("ROLLBACK TO SAVEPOINT later")
    assert "jobs_job_due" in plan.indexes
    assert plan.scanned == set()
    assert plan.buffers <= 400
