"""Links of a chain that go on in the slot of the one before: in order, in exactly the slots there are, through every end of a worker."""

import json
import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery import chain, current_app
from celery.result import AsyncResult
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.test import Client

from jobs import control, enqueue, enqueue_many
from jobs.celery_app import messages, process_engine, settle
from jobs.leader import publish
from jobs.models import Attempt, DeadLetterQueue, Job
from jobs.store import broker, links, transitions
from jobs.store.insert import NewJob
from jobs.store.transitions import Run
from jobs.verification import rules
from jobs.worker.group_commit import GroupCommit
from jobs.worker.hand_over import Heir, message_of
from jobs.worker.registration import Registration
from tests.flows import GET, s, task
from tests.integration.test_faults_workers import database_behind_a_proxy, is_lock, short_path  # noqa: F401
from tests.rows import open_gate
from tests.standing import on
from tests.waiting import until
from tests.workers import kill_group, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ON_GEVENT, ON_ONE_SLOT = on(JOBS_RETRY_BACKOFF="0.1"), on(slots=1)
HANDED = Q(started_at=F("created_at"))  # of a row that is as it was inserted, but for its end


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def jobs_of(result: AsyncResult) -> list[Job]:
    """The jobs of a chain, the first one first; those that exist."""
    ids = []
    while result is not None:
        ids.insert(0, result.id)
        result = result.parent
    found = Job.objects.in_bulk(ids, field_name="task_id")
    return [found[id] for id in ids if id in found]


def slow(count: int, seconds: float) -> Any:
    return chain(s("slow_one", 0, seconds=seconds), *[s("slow_one", seconds=seconds)] * (count - 1))


@ON_GEVENT
def test_a_link_begins_where_the_one_before_has_ended(standing_worker: str, standing_log: Path) -> None:
    result = slow(30, 0).apply_async()
    assert result.get(timeout=GET) == 30
    jobs = jobs_of(result)
    assert [(job.status, job.runs, job.attempts, job.losses, job.result) for job in jobs] == [
        ("completed", 1, 1, 0, n + 1) for n in range(30)
    ]
    assert len({job.worker for job in jobs}) == 1
    handed = [after.started_at == before.finished_at for before, after in pairwise(jobs)]
    assert any(handed), "all, but where a look takes long the next ones wait for the leader"
    text = standing_log.read_text()
    for job in jobs:  # Celery has taken each of them as it takes any other
        assert len(re.findall(rf"Task t\.slow_one\[{job.task_id}\] received", text)) == 1
        assert len(re.findall(rf"Task t\.slow_one\[{job.task_id}\] succeeded", text)) == 1
    assert "refused" not in text


@pytest.mark.parametrize("pool", [pytest.param("solo", marks=pytest.mark.slow), "prefork"])
def test_other_pools_hand_nothing_on(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=2):
        result = slow(4, 0).apply_async()
        assert result.get(timeout=GET) == 4
    assert not Job.objects.filter(HANDED).exists()


@ON_ONE_SLOT
def test_what_outranks_a_link_goes_before_it(standing_worker: str) -> None:
    """One slot: the higher priority and the older job of the same go first; the lower one waits until the chain has ended.

    They last long enough for the leader to hear of the link: a slot takes what lies in Redis at that moment.
    """
    result = slow(3, 1.0).apply_async()
    until(lambda: Job.objects.filter(status="running").exists(), timeout=GET)
    low, same, high = (enqueue("t.nap", args=[0.5], priority=priority).id for priority in (4, 5, 6))
    assert result.get(timeout=GET) == 3
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    first, second, third = (job.id for job in jobs_of(result))
    order = list(Job.objects.order_by("started_at").values_list("id", flat=True))
    assert order == [first, high, same, second, third, low]
    assert not Job.objects.filter(HANDED, id=second).exists()
    assert Job.objects.filter(HANDED, id=third).exists()


@ON_ONE_SLOT
def test_what_is_not_due_or_in_another_queue_is_passed_by(standing_worker: str) -> None:
    enqueue("t.add", args=[1, 2], priority=9, delay=3600)
    enqueue("t.add", args=[1, 2], priority=9, queue="elsewhere")
    result = slow(5, 0.1).apply_async()
    assert result.get(timeout=GET) == 5
    assert Job.objects.filter(HANDED).exists(), "all four, but where a look takes long the next ones wait for the leader"
    Job.objects.filter(queue="elsewhere").delete()


@pytest.mark.slow
def test_links_for_a_later_time_another_queue_or_their_turn_wait(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", "-Q", "celery,second"):
        sent = [
            chain(s("same", 1), s("add_one").set(countdown=0.5)).apply_async(),
            chain(s("same", 1), s("add_one").set(expires=60)).apply_async(),
            chain(s("same", 1), s("rated")).apply_async(),
        ]
        here = chain(s("same", 1), s("add_one").set(queue="second", priority=8)).apply_async()
        elsewhere = chain(s("same", 1), s("add_one").set(queue="elsewhere")).apply_async()
        assert [result.get(timeout=GET) for result in [*sent, here]] == [2, 2, 1, 2]
        until(lambda: Job.objects.filter(task_id=elsewhere.id).exists(), timeout=GET)
    assert not Job.objects.filter(HANDED, task_id__in=[result.id for result in [*sent, elsewhere]]).exists()
    assert Job.objects.get(task_id=elsewhere.id).status == "pending"
    assert Job.objects.filter(HANDED, task_id=here.id, queue="second", priority=8).exists()


@ON_GEVENT
def test_never_a_fifth_body_and_never_a_fifth_row(standing_worker: str) -> None:
    """Twelve chains among jobs of all priorities, counted in the process and, at any moment, in the rows."""
    count = s("counted", seconds=0.002)
    chains = [chain(s("counted", 0, seconds=0.002), *[count] * 24).set(priority=n % 10).apply_async() for n in range(12)]
    for n in range(20):
        enqueue_many("t.counted", [((0, 0.002), {})] * 10, priorities=[(n + m) % 10 for m in range(10)])
    seen: list[int] = []

    def over() -> bool:
        seen.append(Job.objects.filter(status="running").count())
        return not Job.objects.filter(finished_at=None).exists() and Job.objects.count() == 12 * 25 + 200

    until(over, timeout=60, every=0.003)
    assert max(result.get(timeout=GET) for result in chains) <= 4
    jobs = list(Job.objects.all())
    assert {(job.status, job.runs, job.losses) for job in jobs} == {("completed", 1, 0)}
    assert max(job.result for job in jobs) == 4
    assert max(seen) <= 4
    runs = [
        rules.Run(
            id=job.id, priority=job.priority, run_at=job.run_at, due_at=max(job.run_at, job.created_at), started_at=_some(job.started_at),
            finished_at=_some(job.finished_at), worker=job.worker or 0,
        )
        for job in jobs
    ]  # fmt: skip
    assert set(rules.at_once(runs).values()) == {4}
    assert Job.objects.filter(HANDED).exists()


def _some(value: datetime | None) -> datetime:
    assert value is not None
    return value


@pytest.mark.slow
def test_a_chain_goes_on_through_kill_9_and_an_emptied_redis(tmp_path: Path) -> None:
    """Each time while a link runs that was handed on; only what a killed worker ran has run again."""
    rng, client = random.Random(7), broker.client(settings.CELERY_BROKER_URL)
    chains = [slow(60, 0.03).apply_async() for _ in range(3)]
    for place in range(5):
        done = Job.objects.filter(status="completed").count() + rng.randrange(5, 25)
        with running_worker(tmp_path / f"log-{place}", JOBS_MAX_LOST="50") as worker:
            until(lambda done=done: Job.objects.filter(status="completed").count() > done, timeout=60)  # type: ignore[misc]
            until(lambda: Job.objects.filter(HANDED, status="running").exists(), timeout=60, every=0.003)
            if place % 2:
                client.flushall()
            kill_group(worker)
        assert Job.objects.filter(status="running").count() <= 4
    with running_worker(tmp_path / "last", JOBS_MAX_LOST="50"):
        assert [result.get(timeout=90) for result in chains] == [60] * 3
    assert [[job.result for job in jobs_of(result)] for result in chains] == [list(range(1, 61))] * 3
    assert Job.objects.count() == 180
    assert not Job.objects.exclude(status="completed").exists()
    assert Job.objects.filter(HANDED).count() > 60
    assert all(job.runs == 1 + job.losses for job in Job.objects.all())
    assert Job.objects.filter(losses__gt=0).exists()
    assert not DeadLetterQueue.objects.exists()


@pytest.mark.slow
def test_a_worker_told_to_stop_leaves_the_next_link_waiting(tmp_path: Path) -> None:
    chains = [slow(300, 0.02).apply_async() for _ in range(3)]
    for place in range(3):
        done = Job.objects.filter(status="completed").count()
        with running_worker(tmp_path / f"log-{place}") as worker:
            until(lambda done=done: Job.objects.filter(status="completed").count() > done + 20, timeout=60)  # type: ignore[misc]
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        found = [jobs_of(result) for result in chains]
        assert [[job.status for job in jobs[:-1]] for jobs in found] == [["completed"] * (len(jobs) - 1) for jobs in found]
        ends = [jobs[-1] for jobs in found if len(jobs) < 300 or jobs[-1].status != "completed"]
        assert {(job.status, job.attempts) for job in ends} <= {("pending", 0)}
        assert Job.objects.filter(finished_at=None).count() == len(ends)
    with running_worker(tmp_path / "last"):
        assert [result.get(timeout=90) for result in chains] == [300] * 3
    assert Job.objects.filter(HANDED).count() > 60
    assert not Job.objects.filter(losses__gt=0).exists()
    assert not Attempt.objects.exists(), "nothing was interrupted either"


def test_without_its_lock_a_worker_hands_nothing_on(tmp_path: Path, short_path: Path) -> None:  # noqa: F811
    with database_behind_a_proxy(short_path) as (between, url), running_worker(tmp_path / "log", DATABASE_URL=url, JOBS_MAX_LOST="50"):
        result = slow(40, 0.05).apply_async()
        until(lambda: Job.objects.filter(HANDED).count() > 3, timeout=GET)
        between.refuses = is_lock
        assert between.cut(is_lock) == 1
        until(lambda: Job.objects.filter(status="pending").exists(), timeout=GET)
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            then = cursor.fetchone()[0]
        stays = threading.Event()
        stays.wait(3)
        assert not Job.objects.filter(started_at__gt=then).exists()
        between.refuses = lambda first: False
        assert result.get(timeout=60) == 40
    jobs = jobs_of(result)
    assert [job.result for job in jobs] == list(range(1, 41))
    assert Job.objects.count() == 40
    assert not DeadLetterQueue.objects.exists()


def test_a_link_whose_answer_is_lost_is_found_and_run(tmp_path: Path, short_path: Path) -> None:  # noqa: F811
    """PostgreSQL has ended a link and begun the next; the worker does not learn it."""
    with database_behind_a_proxy(short_path) as (between, url), running_worker(tmp_path / "log", DATABASE_URL=url):
        result = slow(20, 0.1).apply_async()
        until(lambda: Job.objects.filter(HANDED).count() > 3, timeout=GET)
        between.loses = lambda begin, data: b"jobs-engine" in begin and b"SELECT" in data
        until(lambda: between.lost, timeout=GET)
        assert result.get(timeout=60) == 20
    jobs = jobs_of(result)
    assert [(job.result, job.attempts, job.losses) for job in jobs] == [(n + 1, 1, 0) for n in range(20)]
    assert {job.runs for job in jobs} == {1}, "the worker has found what it had begun"
    assert b"late and was refused" not in (tmp_path / "log").read_bytes()


@ON_ONE_SLOT
def test_a_locked_row_hands_nothing_on(standing_worker: str) -> None:
    """What came while the end of the link waited for the lock was not seen by its statement."""
    result = chain(s("gate", "locked"), s("slow_one")).apply_async()
    first = until(lambda: Job.objects.filter(status="running").first(), timeout=GET)
    assert first is not None
    with transaction.atomic():
        Job.objects.select_for_update().get(id=first.id)
        open_gate("locked")  # now its body ends
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'jobs-engine%'"
        until(lambda: _ask("SELECT pg_stat_clear_snapshot(); " + waits), timeout=GET)
        stays = threading.Event()
        stays.wait(2 * links.STALE_S)
    assert result.get(timeout=GET) == 1
    assert not Job.objects.filter(HANDED).exists()


def _ask(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


@ON_GEVENT
def test_a_link_that_was_handed_on_can_be_cancelled(standing_worker: str) -> None:
    result = chain(s("slow_one", 0, seconds=0.2), s("slow_one", seconds=60), s("slow_one")).apply_async()
    second = until(lambda: Job.objects.filter(HANDED, status="running").first(), timeout=GET)
    assert second is not None
    assert control.cancel([second.id], by="sara").done == [second.id]
    until(lambda: Job.objects.get(id=second.id).status == "cancelled", timeout=GET)
    assert enqueue("t.add", args=[1, 2]).id  # the slot is free again
    until(lambda: Job.objects.filter(task="t.add", status="completed").exists(), timeout=GET)
    assert not Job.objects.filter(task_id=result.id).exists()
    assert Attempt.objects.get(job=second).outcome == "cancelled"


@ON_GEVENT
def test_a_link_that_fails_is_retried_and_buried_as_any_other(standing_worker: str) -> None:
    again = chain(s("same", 1), task("retry_inside").si(), s("add_one")).apply_async()
    failed = chain(s("same", 1), s("raises"), s("add_one")).apply_async()
    assert again.get(timeout=GET) == 3
    until(lambda: DeadLetterQueue.objects.exists(), timeout=GET)
    middle = jobs_of(again)[1]
    assert (middle.status, middle.runs, middle.attempts) == ("completed", 3, 3)
    assert DeadLetterQueue.objects.get().job.task_id == failed.parent.id


@pytest.fixture
def handed_on() -> Iterator[tuple[GroupCommit, Job]]:
    """A row that was handed on to a process which has not begun with it."""
    engine = GroupCommit(
        Registration(
            {"name": "w", "hostname": "h", "pid": 1, "pool": "gevent", "concurrency": 4, "queues": ["celery"], "tasks": [], "versions": {}}
        ),
        4,
    )
    first = enqueue("t.same", args=[1])
    with connection.cursor() as cursor:
        assert transitions.claim(
            cursor, Run(id=first.id, runs=1), task_id=first.task_id, worker=engine.worker_id, queue="celery", priority=5
        )
        new = NewJob(task="t.same", args="[1]", task_id="the next link", timeout=60)
        linked = links.complete_handing_on(
            cursor, Run(id=first.id, runs=1), result="1", meta=None, new=new, worker=engine.worker_id, queues=["celery"]
        )
    assert linked is not None
    id = linked.begun
    assert id
    engine.held[id], engine.handed[id] = None, Run(id=id, runs=1)
    process_engine.use(engine)
    yield engine, Job.objects.get(id=id)
    process_engine.use(None)
    engine.registration.leave()
    engine.close()


def test_a_link_that_is_revoked_before_it_begins_is_cancelled(handed_on: tuple[GroupCommit, Job]) -> None:
    engine, job = handed_on
    settle.revoked(Run(id=job.id, runs=1), "revoked")
    job.refresh_from_db()
    assert (job.status, job.last_error) == ("cancelled", "Revoked: revoked")
    assert not engine.held
    assert not engine.handed


def test_pages_show_a_link_that_was_handed_on(client: Client, django_user_model: Any, handed_on: tuple[GroupCommit, Job]) -> None:
    _, job = handed_on
    client.force_login(django_user_model.objects.create_superuser("sara", password="x"))
    assert (job.status, job.runs, job.attempts) == ("running", 1, 1)
    assert job.started_at is not None
    assert job.deadline_at is not None
    assert (job.deadline_at - job.started_at).total_seconds() == 60
    for address in (f"/jobs/{job.id}/", "/jobs/?status=running", "/jobs/workers/", f"/admin/jobs/job/{job.id}/change/"):
        page = client.get(address)
        assert page.status_code == 200, address
        assert b"t.same" in page.content, address


def _parts(message: Any) -> Any:
    headers = {name: value for name, value in message.headers.items() if name != "sig"}
    return headers, dict(message.properties), message.delivery_info, list(message.payload)


@pytest.mark.parametrize(
    "options",
    [
        None,
        {"headers": {"root_id": "first", "parent_id": "before", "timelimit": [None, 3], "stamps": {"a": ["b"]}, "custom": 1}},
        {"headers": {}, "properties": {"reply_to": "x", "priority": 7}, "embed": {"chain": [{"task": "t.same"}], "errbacks": None}},
        {"headers": {}, "embed": {"callbacks": [{"task": "t", "args": [{"__type__": "datetime", "__value__": "2026-01-01T00:00:00"}]}]}},
    ],
    ids=["nothing", "headers", "properties and a chain", "a date"],
)  # fmt: skip
def test_its_message_is_the_one_that_the_leader_would_have_sent(options: Any) -> None:
    """Read as a worker reads it from Redis."""
    text = None if options is None else json.dumps(options)
    args = '[{"__type__": "decimal", "__value__": "1.5"}, "\\u0627", 1e16]'
    new = NewJob(task="t.same", task_id="an id", args=args, kwargs='{"password": "x"}', priority=3, timeout=9, max_retries=2, options=text)
    row = messages.Row(
        id=7, task_id="an id", task="t.same", args=args, kwargs=new.kwargs, runs=0, attempts=0, max_retries=2, timeout=9, autoretry=True,
        options=text, priority=3,
    )  # fmt: skip
    with current_app.connection_for_read() as link:
        sent = link.default_channel.message_to_python(json.loads(publish.message(row, ("celery", 6))))
        assert _parts(message_of(Heir(Run(id=7, runs=1), new))) == _parts(sent)


@pytest.mark.slow
def test_events_are_those_of_any_other_job(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    ready, over = threading.Event(), threading.Event()

    def listen() -> None:
        with current_app.connection_for_read() as link:
            receiver = current_app.events.Receiver(link, handlers={"*": seen.append})
            with link.Consumer(receiver.queue, callbacks=[receiver._receive], accept=["json"], no_ack=True):
                ready.set()
                while not over.is_set():
                    try:
                        link.drain_events(timeout=0.5)
                    except TimeoutError:
                        pass

    with running_worker(tmp_path / "log", "-E"):
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        assert ready.wait(GET)
        result = slow(5, 0.05).apply_async()
        assert result.get(timeout=GET) == 5
        ids = [job.task_id for job in jobs_of(result)]
        expected = ["task-received", "task-started", "task-succeeded"]
        kinds: Callable[[], list[list[str]]] = lambda: [  # noqa: E731
            [event["type"] for event in sorted(seen, key=lambda event: event["clock"]) if event.get("uuid") == id] for id in ids
        ]
        until(lambda: kinds() == [expected] * 5, timeout=GET)
        over.set()
        thread.join(GET)
    assert Job.objects.filter(HANDED).exists(), "all four, but where a look takes long the next ones wait for the leader"
