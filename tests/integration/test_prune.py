"""Ended jobs are removed after JOBS_RETENTION_DAYS, in batches; open dead letters and their jobs stay."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import psycopg2
import pytest
from django.db import connection, transaction

from jobs import control, dead_letters
from jobs.leader import prune
from jobs.leader.load import Load
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.models.audit import Audit, Verb
from jobs.refusals import Refusal
from jobs.store import engine, interventions, removal
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own() -> Iterator[Any]:
    connection = engine.connect("jobs prune")
    yield connection
    connection.close()


def ended(status: str, days: float, count: int = 1) -> list[int]:
    """Jobs that ended so many days ago."""
    ids = [job_in(status).id for _ in range(count)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET finished_at = finished_at - make_interval(secs => %s) WHERE id = ANY (%s)", [days * 86400, ids])
    return ids


def test_what_is_old_goes_and_the_rest_stays(own: Any, settings: Any) -> None:
    settings.JOBS_RETENTION_DAYS = 2
    old = [*ended("completed", 2.1), *ended("cancelled", 2.1), *ended("failed", 2.1)]
    dead_letters.resolve(list(DeadLetterQueue.objects.values_list("id", flat=True)), "sara")
    stays = [*ended("completed", 1.9), *ended("failed", 30), job_in("pending").id, job_in("running").id]
    assert Attempt.objects.filter(job__in=old).exists()
    assert prune.prune(own, threading.Event()) == len(old)
    assert sorted(Job.objects.values_list("id", flat=True)) == sorted(stays)
    assert set(DeadLetterQueue.objects.values_list("job_id", "resolution")) == {(stays[1], "open")}
    assert set(Attempt.objects.values_list("job_id", flat=True)) <= set(stays)


def test_it_works_in_batches(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, finished_at)
               SELECT 't.nap', 'completed', now() - interval '8 days' FROM generate_series(1, 1234)"""
        )
    sizes = []
    delete = interventions.delete_ended

    def counted(cursor: Any, ids: Sequence[int]) -> list[int]:
        gone = delete(cursor, ids)
        sizes.append(len(gone))
        return gone

    monkeypatch.setattr(interventions, "delete_ended", counted)
    kept = ended("completed", 6.9)
    assert prune.prune(own, threading.Event()) == 1234
    assert [size for size in sizes if size] == [500, 500, 234]
    assert list(Job.objects.values_list("id", flat=True)) == kept


def test_what_stays_is_passed_once_however_much_goes(own: Any) -> None:
    """Each reading begins where the one before it ended; a batch of which something stays is not the last."""
    stays = ended("failed", 30, count=3)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, finished_at)
               SELECT 't.nap', 'failed', now() - interval '20 days' + make_interval(secs => n) FROM generate_series(1, 1100) n"""
        )
        cursor.execute("INSERT INTO jobs_aftermath (job_id, only_errbacks) SELECT max(id) - 1000, false FROM jobs_job RETURNING job_id")
        stays += [row[0] for row in cursor.fetchall()]  # of its end somebody is still to be told
    begun = []

    class Recording(psycopg2.extensions.cursor):
        def execute(self, statement: Any, values: Any = None) -> None:
            super().execute(statement, values)
            if statement == prune._OLD and values[0] == "failed":
                begun.append(values[1])

    own.cursor_factory = Recording
    assert prune.prune(own, threading.Event()) == 1099
    assert sorted(Job.objects.values_list("id", flat=True)) == stays
    assert len(begun) == len(set(begun)) == 3


def test_more_than_a_batch_that_stays_keeps_nothing_behind_it(own: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, finished_at)
               SELECT 't.nap', 'completed', now() - interval '20 days' + make_interval(secs => n) FROM generate_series(1, 1400) n
               RETURNING id"""
        )
        ids = sorted(row[0] for row in cursor.fetchall())
        cursor.execute("INSERT INTO jobs_aftermath (job_id, only_errbacks) SELECT unnest(%s::bigint[]), false", [ids[:1100]])
    places: dict[str, str] = {}
    assert [prune.prune(own, threading.Event(), places) for _ in range(3)] == [0, 0, 300]
    assert sorted(Job.objects.values_list("id", flat=True)) == ids[:1100]
    assert not places, "the next call begins from the front"


def test_a_standby_does_not_prune(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Load()

    class Clock(threading.Event):
        waited: ClassVar[list[float]] = []

        def wait(self, timeout: float | None = None) -> bool:
            self.waited.append(timeout or 0.0)
            load.leads = len(self.waited) == 3
            if len(self.waited) == 5:
                self.set()
            return self.is_set()

    pruned, asked = [], []
    monkeypatch.setattr(prune, "prune", lambda *_: pruned.append(load.leads))
    monkeypatch.setattr(prune, "drop_unfired", lambda _, after: asked.append(after) or "next")
    stop = Clock()
    prune.run(stop, load)
    assert (pruned, asked) == ([True], [""])
    assert stop.waited == [prune.STANDBY] * 3 + [prune.EACH, prune.STANDBY]


@pytest.fixture
def orders() -> Iterator[None]:
    """A project's table whose rows refer to jobs, by the constraint that Django makes for each ForeignKey."""
    with connection.cursor() as cursor:
        cursor.execute("""CREATE TABLE "an%order" (id bigserial PRIMARY KEY,
                            job_id bigint REFERENCES jobs_job (id) DEFERRABLE INITIALLY DEFERRED)""")
        yield
        cursor.execute("""DROP TABLE "an%order" """)


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("read", [True, False], ids=["readable", "unreadable"])
def test_a_job_that_a_row_of_somebody_else_refers_to_keeps_no_other(own: Any, read: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not read:
        monkeypatch.setattr(removal, "REFERRING", "SELECT '' WHERE false")
    old = ended("completed", 30, count=7)
    stays = sorted([old[0], old[4]])
    with connection.cursor() as cursor:
        cursor.execute("""INSERT INTO "an%%order" (job_id) SELECT unnest(%s::bigint[])""", [stays])
    assert prune.prune(own, threading.Event()) == 5
    assert sorted(Job.objects.values_list("id", flat=True)) == stays
    assert prune.prune(own, threading.Event()) == 0
    with connection.cursor() as cursor:
        cursor.execute("""DELETE FROM "an%order" """)
    assert prune.prune(own, threading.Event()) == 2


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("read", [True, False], ids=["readable", "unreadable"])
def test_a_person_deletes_the_others_and_hears_of_such_a_job(read: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not read:
        monkeypatch.setattr(removal, "REFERRING", "SELECT '' WHERE false")
    ids = [*ended("completed", 0, count=5), *ended("failed", 0)]
    stays = [ids[1], ids[3], ids[5]]
    with connection.cursor() as cursor:
        cursor.execute("""INSERT INTO "an%%order" (job_id) SELECT unnest(%s::bigint[])""", [stays])
    foreseen = control.foresee(Verb.DELETE, ids)
    assert foreseen.left == ({Refusal.REFERRED: 2, Refusal.OPEN_ENTRY: 1} if read else {Refusal.OPEN_ENTRY: 1})
    report = control.delete(ids, by="sara")
    assert report.done == [ids[0], ids[2], ids[4]]
    assert report.refused == {ids[1]: Refusal.REFERRED, ids[3]: Refusal.REFERRED, ids[5]: Refusal.OPEN_ENTRY}
    assert sorted(Job.objects.values_list("id", flat=True)) == stays
    assert sorted(Audit.objects.filter(verb="delete").values_list("job", flat=True)) == report.done
    with transaction.atomic(), connection.cursor() as cursor:  # in one with the row that refers to it
        cursor.execute("""DELETE FROM "an%order" """)
        assert control.delete(stays[:1], by="sara").done == stays[:1]


def test_what_hinders_the_pruning_hinders_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Once(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    load, done = Load(), []
    load.leads = True

    def refused(*_: Any) -> Any:
        done.append("refused")
        raise psycopg2.errors.InsufficientPrivilege("no")

    monkeypatch.setattr(prune, "prune", refused)
    monkeypatch.setattr(prune, "bury_forsaken", refused)
    monkeypatch.setattr(prune, "drop_unfired", lambda *_: done.append("dropped") or "")
    prune.run(Once(), load)
    assert done == ["refused", "refused", "dropped"]


def test_it_stops_between_two_batches_when_told(own: Any) -> None:
    ended("completed", 8)
    told = threading.Event()
    told.set()
    assert prune.prune(own, told) == 0
    assert Job.objects.exists()


def test_it_reads_an_index(own: Any) -> None:
    with own.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")  # what other tests have left decides between small plans
        cursor.execute("EXPLAIN " + prune._OLD, ["completed", "-infinity", 86400])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "jobs_job_ended" in plan


def test_what_stays_for_its_open_dead_letter_keeps_nothing_else(own: Any) -> None:
    """More of it than one reading takes, and older than what may go."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH old AS (INSERT INTO jobs_job (task, status, finished_at)
                 SELECT 't.nap', 'failed', now() - interval '30 days' FROM generate_series(1, %s) RETURNING id)
               INSERT INTO jobs_deadletterqueue (job_id, error_class, message, traceback, fingerprint, attempts)
               SELECT id, 'ValueError', 'no', '', 'f', 1 FROM old""",
            [prune.BATCH],
        )
    gone = ended("failed", 20)
    dead_letters.resolve(list(DeadLetterQueue.objects.filter(job__in=gone).values_list("id", flat=True)), "sara")
    assert prune.prune(own, threading.Event()) == 1
    assert not Job.objects.filter(id__in=gone).exists()
