"""What a connection inserts often is prepared, and nobody notices when that is gone again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from jobs import enqueue
from jobs.models import Job
from jobs.store import kept, short
from jobs.tasks import sleep
from tests.integration.test_short import call, db, delay

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(is_psycopg3, reason="psycopg 3 prepares on its own, if it is told to"),
]


@pytest.fixture(autouse=True)
def believing() -> Iterator[None]:
    """As a process in which no prepared statement was ever gone, with a session that has none."""
    delay()  # the first one goes Celery's way
    Job.objects.all().delete()
    db().close()
    db().ensure_connection()
    kept._gone.clear()
    yield
    kept._gone.clear()
    db().close()


@pytest.fixture(params=[call, delay])
def insert(request: pytest.FixtureRequest) -> Callable[[], None]:
    """One that was made as often as it takes."""
    for _ in range(kept.OFTEN):
        request.param()
    assert len(prepared()) == 1
    return request.param  # type: ignore[no-any-return]


def prepared() -> list[tuple[str, int]]:
    """The statements of this session, with how often each was executed."""
    with db().cursor() as cursor:
        cursor.execute("SELECT name, generic_plans + custom_plans FROM pg_prepared_statements WHERE name LIKE 'jobs\\_%'")
        return list(cursor.fetchall())


def say(statement: str) -> None:
    with db().cursor() as cursor:
        cursor.execute(statement)


def test_one_that_is_inserted_often_is_planned_once() -> None:
    for made in range(1, 3 * kept.OFTEN):
        call()
        assert [times for _, times in prepared()] == ([made + 1 - kept.OFTEN] if made >= kept.OFTEN else [])
    assert Job.objects.count() == 3 * kept.OFTEN - 1
    last = Job.objects.order_by("-id")[0]
    assert (last.task, last.args, last.status, last.priority) == ("jobs.tasks.sleep", [0], "pending", 5)


def test_it_says_what_was_made(insert: Callable[[], None]) -> None:
    jobs = [enqueue("jobs.tasks.sleep", args=[0], name=f"the {place}th", priority=place) for place in range(9)]
    stored = {job.pk: job for job in Job.objects.filter(name__startswith="the ")}
    for job in jobs:
        assert job.__dict__ | {"_state": None} == stored[job.pk].__dict__ | {"_state": None}


def test_in_a_transaction_nothing_depends_on_it(insert: Callable[[], None]) -> None:
    say("DEALLOCATE ALL")
    with transaction.atomic():
        insert()
        with transaction.atomic():
            insert()
    say("BEGIN")  # a transaction that Django does not know of
    insert()
    say("COMMIT")
    db().set_autocommit(False)
    insert()
    db().commit()
    db().set_autocommit(True)
    assert not kept._gone
    assert Job.objects.count() == kept.OFTEN + 4


@pytest.mark.parametrize("gone", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_one_that_is_gone_is_done_without(insert: Callable[[], None], gone: str) -> None:
    say(gone)
    insert()
    assert Job.objects.count() == kept.OFTEN + 1
    assert len(kept._gone) == 1
    for _ in range(2 * kept.OFTEN):
        insert()
    assert not prepared()
    assert Job.objects.count() == 3 * kept.OFTEN + 1


def test_a_name_that_another_client_of_the_pooler_has_prepared(insert: Callable[[], None]) -> None:
    [(_, times)] = prepared()
    db().__dict__["_jobs_cursor"] = kept.KeptCursor(db().create_cursor, db().connection)
    for _ in range(kept.OFTEN):
        insert()
    assert [count for _, count in prepared()] == [times + 1]
    assert Job.objects.count() == 2 * kept.OFTEN


def test_past_a_pooler_nothing_is_prepared(settings: Any) -> None:
    settings.JOBS_DATABASE_DIRECT_URL = "postgres://direct"
    for _ in range(2 * kept.OFTEN):
        call()
    assert not prepared()


def test_the_table_is_the_one_that_the_search_path_names(insert: Callable[[], None]) -> None:
    """As with a schema for each tenant; one of them has another type in a column that is answered."""
    say("CREATE SCHEMA tenant; CREATE SCHEMA odd")
    try:
        for schema in ("tenant", "odd"):
            say(f"CREATE TABLE {schema}.jobs_job (LIKE jobs_job INCLUDING ALL)")
        say("ALTER TABLE odd.jobs_job DROP CONSTRAINT jobs_job_times")
        say("ALTER TABLE odd.jobs_job ALTER created_at DROP DEFAULT, ALTER created_at TYPE text, ALTER created_at SET DEFAULT 'then'")
        for schema, more in (("tenant", 3), ("public", 2), ("odd", 1)):
            say(f"SET search_path = {schema}")
            before = Job.objects.count()
            for _ in range(more):
                insert()
            assert Job.objects.count() == before + more
        say("RESET search_path")
        assert Job.objects.count() == kept.OFTEN + 2
    finally:
        say("RESET search_path; DROP SCHEMA tenant CASCADE; DROP SCHEMA odd CASCADE")


def test_errors_are_the_same(insert: Callable[[], None]) -> None:
    statement = "INSERT INTO jobs_job (task, priority) VALUES (%s, %s) RETURNING id"
    for _ in range(kept.OFTEN):
        assert short.first_row(db(), statement, ["t", 7])
    assert len(prepared()) == 2
    with pytest.raises(IntegrityError, match="jobs_job_priority"):
        short.first_row(db(), statement, ["t", 77])
    assert not kept._gone
    times = dict(prepared())
    assert short.first_row(db(), statement, ["t", 7])
    assert sum(dict(prepared()).values()) == sum(times.values()) + 1, "an error makes nothing forgotten"


def test_a_long_one_in_between_makes_nothing_forgotten(insert: Callable[[], None]) -> None:
    [(_, times)] = prepared()
    short.first_row(db(), "SELECT length(%s)", ["x" * 20_000])
    insert()
    assert [count for _, count in prepared()] == [times + 1]


def test_a_call_with_options_is_prepared_too() -> None:
    """One whose task_id exists takes the statement that may change the row."""
    for number in range(2 * kept.OFTEN):
        sleep.apply_async((0,), priority=3, task_id=f"the-{number}")
    [(_, times)] = prepared()
    sleep.apply_async((0,), priority=3, task_id="the-1")
    assert prepared()[0][1] == times + 1
    assert Job.objects.count() == 2 * kept.OFTEN


def test_what_cannot_be_prepared_is_executed_as_it_is() -> None:
    for _ in range(2 * kept.OFTEN):
        assert short.first_row(db(), "SET statement_timeout = %s", [0]) is None  # no statement for PREPARE
        assert short.first_row(db(), "SELECT 1, '100%%'", []) == (1, "100%")
        assert short.first_row(db(), "SELECT %s::int + 1, '100%%'", [1]) == (2, "100%")
    assert [times for _, times in prepared()] == [kept.OFTEN + 1] * 2


def test_so_many_are_kept_and_no_more() -> None:
    for number in range(kept.MOST + 3):
        for _ in range(kept.OFTEN):
            assert short.first_row(db(), f"SELECT %s::int + {number}", [1]) == (number + 1,)
    assert len(prepared()) == kept.MOST


def test_a_new_session_has_its_own(insert: Callable[[], None]) -> None:
    connections["default"].close()
    assert not prepared()
    for _ in range(kept.OFTEN):
        insert()
    assert len(prepared()) == 1
