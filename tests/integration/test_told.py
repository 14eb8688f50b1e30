"""A lone insert tells a sleeping leader its job, which is sent without a question; not where others than those who insert may listen."""

import json
import select
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import psycopg2
import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone

from jobs import enqueue, enqueue_many
from jobs.celery_app.messages import Row
from jobs.leader import dispatch, election, pick, told
from jobs.leader.load import Load
from jobs.models import Job
from jobs.store import engine, interventions
from jobs.store.insert import NewJob
from jobs.store.locks import SLEEPING
from jobs.store.sent import insert_sent
from tests.rows import job_in
from tests.taskapp import tasks  # noqa: F401 - registers them here

pytestmark = pytest.mark.django_db(transaction=True)
LANE = ("celery", 4)


@pytest.fixture(autouse=True)
def private() -> None:
    """A server that is not the tests' own (TEST_DATABASE_URL) may have other roles; the embedded one has none."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {told.IS_PRIVATE}")
        if cursor.fetchone() == (False,):
            pytest.skip("a role that may not read and insert jobs may connect to this server")


class Listener:
    """A session that sleeps as a leader does, and what it is told."""

    def __init__(self, session: Any) -> None:
        self.session, self.cursor = session, session.cursor()
        self.cursor.execute("SELECT pg_advisory_lock(%s, %s)", SLEEPING)
        self.cursor.execute(pick.PREPARE)

    def heard(self) -> list[str]:
        """What was told before now, each once: the last notification is this session's own."""
        self.cursor.execute("NOTIFY jobs_due, 'end'")
        texts = [notify.payload for notify in self.session.notifies]
        self.session.notifies.clear()
        assert texts.pop() == "end"
        return texts

    def due(self) -> list[tuple[str, Row]]:
        """What a pick finds, as the leader reads it."""
        lanes = dict.fromkeys([("celery", lane) for lane in range(10)], 10)
        self.cursor.execute(pick.DUE, pick.values_of_due(lanes, {}, []))
        return [(queue, Row(*values)) for queue, _, *values in self.cursor.fetchall()]


@pytest.fixture
def listener() -> Iterator[Listener]:
    session = election.connect()
    try:
        session.cursor().execute(election._SESSION)
        yield Listener(session)
    finally:
        session.close()


INSERTS = {
    "enqueue": lambda: enqueue("t.collect", args=[0], kwargs={"ü": "قيمة\n\"'"}, priority=9),
    "enqueue with a key": lambda: enqueue("jobs.tasks.sleep", args=[0], unique_key="one"),
    "delay": lambda: current_app.tasks["jobs.tasks.sleep"].delay(0.5),
    "apply_async": lambda: current_app.tasks["jobs.tasks.sleep"].apply_async((0,), priority=7, shadow="x"),
    "apply_async with an id": lambda: current_app.tasks["jobs.tasks.sleep"].apply_async((0,), task_id="mine"),
    "enqueue_many": lambda: enqueue_many("jobs.tasks.sleep", [((0,), {})]),
    "a plain INSERT": lambda: connection.cursor().execute("INSERT INTO jobs_job (task, max_retries, timeout) VALUES ('t', NULL, NULL)"),
}


@pytest.mark.parametrize("way", INSERTS)
def test_a_lone_insert_tells_what_a_pick_would_find(listener: Listener, way: str) -> None:
    INSERTS[way]()  # the first `.delay()` of a process goes Celery's way
    Job.objects.all().delete()
    listener.heard()
    INSERTS[way]()
    (text,) = listener.heard()
    assert [told.read(text)] == listener.due()


def both() -> None:
    enqueue("jobs.tasks.sleep", args=[0], priority=0)
    enqueue("jobs.tasks.sleep", args=[0], priority=9)
    enqueue("jobs.tasks.sleep", args=[0], priority=5)


def changed() -> None:
    job = enqueue("jobs.tasks.sleep", args=[0])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET args = '[1]' WHERE id = %s", [job.id])


def another_comes_back() -> None:
    enqueue("jobs.tasks.sleep", args=[0])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET run_at = clock_timestamp() WHERE id = %s", [Job.objects.earliest("id").id])


def after_what_was_rolled_back() -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        enqueue("jobs.tasks.sleep", args=[0], priority=0)
        raise ZeroDivisionError
    enqueue("jobs.tasks.sleep", args=[0], priority=9)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (both, ["a job", ""]),
        (changed, ["a job", ""]),
        (another_comes_back, ["a job", ""]),
        (after_what_was_rolled_back, ["a job"]),
        (lambda: enqueue_many("jobs.tasks.sleep", [((0,), {})] * 3), [""]),
        (lambda: enqueue("jobs.tasks.sleep", args=[0], run_at=timezone.now() + timedelta(hours=1)), [""]),
        (lambda: enqueue("t.collect", args=[0], kwargs={"a": "x" * 1000}), [""]),
        (lambda: enqueue("t.collect", args=[0], kwargs={"a": "ü" * 550}), [""]),  # bytes count
        (lambda: connection.cursor().execute("INSERT INTO jobs_job (task, losses) VALUES ('t', 2)"), [""]),
        (lambda: connection.cursor().execute("INSERT INTO jobs_job (task) SELECT 't' WHERE false"), []),
    ],
)
def test_whatever_is_more_than_one_job_that_is_due_has_to_be_asked_for(listener: Listener, act: Any, expected: list[str]) -> None:
    """The jobs of one transaction go by their priority, whichever was inserted first."""
    job_in("pending")
    listener.heard()
    with transaction.atomic():
        act()
    assert [text and "a job" for text in listener.heard()] == expected


def test_what_may_be_an_update_has_to_be_asked_for(listener: Listener) -> None:
    ended, waiting, cancelled = job_in("completed"), job_in("pending"), job_in("cancelled")
    listener.heard()
    with connection.cursor() as cursor:
        assert interventions.change_priority(cursor, [waiting.id], 9) == [waiting.id]
        assert listener.heard() == [""]
        assert interventions.restore(cursor, [cancelled.id]) == [cancelled.id]
        assert listener.heard() == [""]
        assert insert_sent(cursor, NewJob(task="t.add", task_id=ended.task_id)), "a task_id that has a job: that one runs again"
        assert listener.heard() == [""]
        assert not insert_sent(cursor, NewJob(task="t.add", task_id=waiting.task_id))
        assert listener.heard() == [""]
    assert enqueue("jobs.tasks.sleep", args=[0], unique_key="k").id
    assert len(listener.heard()) == 1
    assert enqueue("jobs.tasks.sleep", args=[0], unique_key="k").id
    assert listener.heard() == []


class Redis:
    """What was pushed, as (lane's key, number of the job)."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, int]] = []

    def ask_all(self, commands: list[tuple[Any, ...]], foreign: bool = False) -> list[Any]:
        for name, key, *messages in commands:
            self.pushed += [(key, json.loads(message)["headers"]["job_id"]) for message in messages if name == "LPUSH"]
        return [{"LRANGE": [], "GET": None}.get(name, 0) for name, *_ in commands]


@pytest.fixture
def leader() -> Iterator[dispatch.Leader]:
    """One that has sent all that is due, and sleeps."""
    session = election.connect()
    try:
        assert election.elect(session, threading.Event())
        leader = dispatch.Leader(session, mock.MagicMock(is_open=True, line=Redis(), **{"trouble.return_value": None}), Load(), again=False)
        leader.rescue.live = {1: ["celery"]}
        leader.looked = dispatch.time.monotonic()  # no look, so `live` stays
        leader.tick()
        leader.wait(False)
        leader.tick()
        assert leader.asleep
        yield leader
    finally:
        session.close()


def hear(leader: dispatch.Leader) -> bool:
    """Let it be told and send; whether it asked PostgreSQL what is due."""
    if not leader.connection.notifies:
        select.select([leader.connection], [], [], 10)
    leader.looked, leader.notified = dispatch.time.monotonic(), 0.0  # no look, and no burst of inserts
    leader.wait(False)
    assert leader.is_told
    asked: list[bool] = []
    with mock.patch.object(leader, "due", lambda rooms, due=leader.due: (asked.append(True), due(rooms))[1]):
        assert leader.tick() is False
    return bool(asked)


def test_what_was_told_is_sent_without_a_question(leader: dispatch.Leader) -> None:
    first = enqueue("jobs.tasks.sleep", args=[0])
    assert hear(leader), "before its first look it believes nobody"
    look(leader)
    second = enqueue("jobs.tasks.sleep", args=[0], priority=9)
    assert not hear(leader)
    assert leader.link.line.pushed == [("jobs:" + pushed, id) for pushed, id in (("celery\x06\x164", first.id), ("celery", second.id))]  # type: ignore[attr-defined]
    assert leader.window.has((second.id, 0, 9))
    for full in (True, False):
        leader.load.crowded = full
        third = enqueue("jobs.tasks.sleep", args=[0])
        assert hear(leader) is full, "while more is due than there is room for, PostgreSQL says what goes first"
        assert leader.link.line.pushed[-1][1] == third.id  # type: ignore[attr-defined]
    leader.synced = 0.0
    enqueue("jobs.tasks.sleep", args=[0])
    assert hear(leader), "what lies in Redis is not known since it was away"


def test_two_that_tell_at_once_go_by_their_priority(leader: dispatch.Leader) -> None:
    with closing(engine.connect("another")) as another, another.cursor() as cursor:
        for _ in range(2):
            low = enqueue("jobs.tasks.sleep", args=[0], priority=0)
            cursor.execute("INSERT INTO jobs_job (task, priority) VALUES ('t.add', 9) RETURNING id")
            high = cursor.fetchone()[0]
            leader.cursor.execute("SELECT 1")  # both have come with the answer
            assert hear(leader)
            look(leader)
            assert [id for _, id in leader.link.line.pushed[-2:]] == [high, low.id]  # type: ignore[attr-defined]


def test_a_job_that_becomes_due_meanwhile_is_not_slept_over(leader: dispatch.Leader) -> None:
    look(leader)
    enqueue("jobs.tasks.sleep", args=[0], run_at=timezone.now() + timedelta(seconds=0.5))
    assert hear(leader)
    leader.looked = dispatch.time.monotonic()
    assert 0 < leader.pause() <= 0.5
    enqueue("jobs.tasks.sleep", args=[0])
    assert not hear(leader)
    with mock.patch.object(leader, "cursor"):
        assert 0 < leader.pause() <= 0.5, "it knows that, and asks nothing"


def look(leader: dispatch.Leader) -> None:
    leader.look()
    leader.rescue.live = {1: ["celery"]}


@pytest.fixture
def reader() -> Iterator[Any]:
    """A session of a role that may connect, and do nothing with jobs."""
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS jobs_reader; CREATE ROLE jobs_reader LOGIN")
    try:
        parameters = connection.get_connection_params() | {"user": "jobs_reader"}
        with closing(psycopg2.connect(**engine.of_libpq(parameters))) as session:
            session.autocommit = True
            yield session
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP OWNED BY jobs_reader; DROP ROLE jobs_reader")


def test_who_may_not_insert_is_not_believed(leader: dispatch.Leader, reader: Any) -> None:
    """Anybody who may connect may NOTIFY. A message says which task runs: such a one must not have it signed."""
    job = enqueue("jobs.tasks.sleep", args=[0], run_at=timezone.now() + timedelta(hours=1))
    hear(leader)
    forged = json.dumps(["celery", job.id, job.task_id, "jobs.tasks.management_command", "[]", "{}", 0, 0, 3, None, True, None, 5])
    for _ in range(2):
        look(leader)
        reader.cursor().execute("SELECT pg_notify('jobs_due', %s)", [forged])
        assert hear(leader)
    assert leader.link.line.pushed == []  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute("GRANT SELECT, INSERT ON jobs_job TO jobs_reader")
    look(leader)
    reader.cursor().execute("SELECT pg_notify('jobs_due', %s)", [forged])
    assert not hear(leader), "who may insert jobs can have anything run"


@pytest.mark.parametrize(
    ("may", "is_told"),
    [
        ("", False),
        ("GRANT SELECT ON jobs_job TO jobs_reader", False),
        ("GRANT INSERT ON jobs_job TO jobs_reader", False),
        ("GRANT SELECT, INSERT ON jobs_job TO jobs_reader", True),
        ("ALTER ROLE jobs_reader NOLOGIN", True),
        ("ALTER ROLE jobs_reader SUPERUSER", True),
    ],
)
def test_a_job_is_told_to_nobody_who_may_not_read_it(listener: Listener, reader: Any, may: str, is_told: bool) -> None:
    """Whoever may connect may listen. Trigger and leader see the same."""
    with connection.cursor() as cursor:
        cursor.execute(may or "SELECT 1")
    listener.cursor.execute(f"SELECT {told.IS_PRIVATE}")
    assert listener.cursor.fetchone() == (is_told,)
    enqueue("t.login", args=["ada", "a secret"])
    assert [bool(text) for text in listener.heard()] == [is_told]


def test_nobody_else_may_connect(listener: Listener, reader: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_database())")
        name = cursor.fetchone()[0]
        try:
            cursor.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
            enqueue("jobs.tasks.sleep", args=[0])
        finally:
            cursor.execute(f"GRANT CONNECT ON DATABASE {name} TO PUBLIC")
    assert len(listener.heard()[0]) > 0


def test_who_may_only_insert_inserts(listener: Listener, reader: Any) -> None:
    """The trigger asks for nothing that such a role may not see."""
    with connection.cursor() as cursor:
        cursor.execute("GRANT INSERT ON jobs_job TO jobs_reader")
    reader.cursor().execute("INSERT INTO jobs_job (task) VALUES ('t.add')")
    assert listener.heard() == [""]
    assert Job.objects.get().task == "t.add"
