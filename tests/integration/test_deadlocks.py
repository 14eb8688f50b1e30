"""Acts of several people on the same jobs and dead letters: all lock them in one order, and a deadlock all the same is nobody's error."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from jobs import batches, control, dead_letters
from jobs.domain.actors import Actor, Source
from jobs.models import DeadLetterQueue, Job
from jobs.models.audit import Audit, Verb
from jobs.store import collisions, engine
from jobs.store.insert import NewJob
from jobs.store.sent import insert_sent_many
from tests.rows import job_in
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
SARA = Actor(name="sara", source=Source.CODE)


@pytest.fixture
def other() -> Iterator[Any]:
    """Somebody else's session, which PostgreSQL does not end because of a deadlock: it looks for one much later."""
    held = engine.connect("holds rows")
    with held.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '120s'")
        yield cursor
    held.close()


@pytest.fixture
def person() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread
        thread.submit(lambda: connection.close()).result(20)  # that of the thread


def waits(pid: int) -> bool:
    """Whether somebody waits for this session."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND %s = ANY (pg_blocking_pids(l.pid))", [pid])
        return bool(cursor.fetchone()[0])


def lock(other: Any, table: str, id: int) -> None:
    other.execute(f"SELECT FROM {table} WHERE id = %s FOR UPDATE", [id])


def entries() -> list[int]:
    return list(DeadLetterQueue.objects.order_by("id").values_list("id", flat=True))


def prioritize(jobs: list[int]) -> list[int]:
    batch = batches.draft(Verb.PRIORITY, jobs, SARA)
    return jobs if batches.confirm(batch.pk, SARA, priority=9) else []


# What is done, with jobs in which status, and the table in which it meets the other one.
ACTS: dict[str, tuple[Callable[[list[int]], list[int]], str, str]] = {
    "cancel": (lambda jobs: control.cancel(jobs, SARA).done, "pending", "jobs_job"),
    "ask": (lambda jobs: control.cancel(jobs, SARA).asked, "running", "jobs_job"),
    "reprocess": (lambda jobs: control.reprocess(jobs, SARA).done, "failed", "jobs_deadletterqueue"),
    "reprocess entries": (lambda _: dead_letters.reprocess(entries(), SARA).done, "failed", "jobs_job"),
    "resolve": (lambda _: dead_letters.resolve(entries(), SARA).done, "failed", "jobs_deadletterqueue"),
    "a small act on many": (prioritize, "pending", "jobs_job"),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_deadlock_is_met_by_trying_again(person: ThreadPoolExecutor, other: Any, act: str) -> None:
    do, status, table = ACTS[act]
    jobs = [job_in(status).id for _ in range(2)]
    first, second = jobs if table == "jobs_job" else entries()
    other.execute("BEGIN")
    lock(other, table, second)
    done = person.submit(do, jobs)
    until(lambda: waits(other.connection.info.backend_pid), every=0.002, what="the person has the first and waits for the second")
    lock(other, table, first)
    other.execute("ROLLBACK")
    assert len(done.result(30)) == 2
    assert Audit.objects.filter(actor="sara", source="code").count() == 2, "once each"


@pytest.mark.parametrize(("inside", "tries"), [(False, collisions.TRIES), (True, 1)])
def test_it_is_not_tried_for_ever_nor_in_a_transaction_of_the_callers(inside: bool, tries: int) -> None:
    made = []

    class Detected(Exception):
        pgcode = "40P01"

    @collisions.made_again
    def verb() -> None:
        made.append(1)
        raise OperationalError from Detected()

    def call() -> None:
        with transaction.atomic():
            verb()

    with pytest.raises(OperationalError):
        call() if inside else verb()
    assert len(made) == tries


def send_again(jobs: list[int]) -> None:
    ids = Job.objects.filter(id__in=jobs).values_list("task_id", flat=True)
    with transaction.atomic(), connection.cursor() as cursor:
        insert_sent_many(cursor, [NewJob(task="t.nap", task_id=id) for id in ids])


@pytest.mark.parametrize(
    "act",
    [lambda jobs: control.reprocess(jobs, SARA), lambda _: dead_letters.reprocess(entries(), SARA), send_again],
    ids=["reprocess", "reprocess entries", "send again"],
)
def test_dead_letters_are_locked_in_the_order_of_their_numbers(person: ThreadPoolExecutor, other: Any, act: Any) -> None:
    """As resolving does: while one waits for the first, the others are free."""
    jobs = [job_in("failed").id for _ in range(2)]
    first, second = entries()
    with connection.cursor() as cursor:  # the other way round as the jobs, and as they lie in the table
        cursor.execute("UPDATE jobs_deadletterqueue SET resolution = 'resolved'")  # a job has one that is open
        for entry, job in ((second, jobs[0]), (first, jobs[1])):
            cursor.execute("UPDATE jobs_deadletterqueue SET job_id = %s, resolution = 'open' WHERE id = %s", [job, entry])
    other.execute("BEGIN")
    lock(other, "jobs_deadletterqueue", first)
    done = person.submit(act, jobs)
    until(lambda: waits(other.connection.info.backend_pid), what="it waits for the first")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM jobs_deadletterqueue WHERE id = %s FOR UPDATE NOWAIT", [second])
    other.execute("ROLLBACK")
    done.result(30)
    assert set(DeadLetterQueue.objects.values_list("resolution", flat=True)) == {"reprocessed"}
