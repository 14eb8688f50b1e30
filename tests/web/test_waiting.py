"""The page of a job says why it waits: each reason, with its numbers, in both languages."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone, translation

from jobs import enqueue, enqueue_many
from jobs.celery_app import lanes
from jobs.models import Job, Worker
from jobs.store import outages, transitions
from jobs.store import waiting as waiting_store
from jobs.store.engine import connect
from jobs.store.locks import ALONE, LEADER, WORKER_CLASS
from jobs.store.transitions import Failure, Run
from jobs.web import waiting
from jobs.web.times import span
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "jobs.tasks.sleep"


class Stage:
    """Locks of workers and of the leader, held by a connection of their own."""

    def __init__(self) -> None:
        self.life = connect("stage")

    def leader(self) -> None:
        with self.life.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", LEADER)

    def alone(self) -> None:
        """The worker runs a job that may kill it, or is about to."""
        with self.life.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", ALONE)

    def worker(self, *, slots: int = 2, queues: tuple[str, ...] = ("celery",), tasks: tuple[str, ...] = (TASK,)) -> int:
        row = Worker.objects.create(
            name="w@host", hostname="host", pid=1, pool="gevent", concurrency=slots, queues=list(queues), tasks=list(tasks), versions={}
        )
        with self.life.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, row.id])
        return row.id


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.life.close()


@pytest.fixture
def page(client: Client) -> Any:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"

    def text(job: Job) -> str:
        found = re.search(r'<p class="why-answer">(.*?)</p>', client.get(f"/jobs/{job.id}/").content.decode(), re.DOTALL)
        assert found
        return re.sub("[\u2066-\u2069]|<[^>]+>", "", found[1]).strip()

    return text


def claimed(worker: int, **options: Any) -> Job:
    job = enqueue(TASK, kwargs={"seconds": 60}, **options)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.id, runs=1), task_id=job.task_id, worker=worker, queue=job.queue, priority=job.priority)
    return job


def waiting_job(**options: Any) -> Job:
    return enqueue(TASK, kwargs={"seconds": 1}, **options)


def test_nobody_is_there(page: Any, stage: Stage) -> None:
    job = waiting_job()
    assert page(job).startswith("No worker is up")
    worker = stage.worker(queues=("mail",))
    assert page(job).startswith("No leader is up")
    stage.leader()
    assert page(job) == "No live worker serves its queue, celery."
    Worker.objects.filter(id=worker).update(queues=["celery"], tasks=["x"])
    assert page(job).startswith(f"No worker of its queue has the task {TASK}.")


def test_a_row_whose_process_died_is_no_worker(page: Any, stage: Stage) -> None:
    stage.leader()
    stage.worker()
    job = waiting_job()
    assert page(job) == "A slot is free: it starts now."
    stage.life.close()
    until(lambda: page(job).startswith("No worker is up"), timeout=10)  # PostgreSQL frees its locks when it notices


def test_it_waits_for_its_time(page: Any) -> None:
    # with the day where that is another one by then
    assert re.match(r"It is scheduled for (\d+ \w{3} (\d{4} )?)?\d\d:\d\d:\d\d, in 59 min and \d+ s\.$", page(waiting_job(delay=3599)))
    later = timezone.now().replace(month=6, day=15, hour=12) + timedelta(days=2 * 366)
    text = page(waiting_job(run_at=later))
    assert re.match(rf"It is scheduled for 1\d Jun {later.year} \d\d:\d\d:\d\d, in \d+ d( and \d+ h)?\.$", text)


def test_it_waits_for_its_retry(page: Any, stage: Stage) -> None:
    job = claimed(stage.worker(), max_retries=2)
    with connection.cursor() as cursor:
        transitions.retry(cursor, Run(id=job.id, runs=1), Failure(error_class="ValueError", message="no"), delay=59.9)
    assert re.match(r"Attempt 1 of 3 failed; the next begins in [1-5]\d s, at ", page(job))


def test_others_go_before_it(page: Any, stage: Stage) -> None:
    stage.leader()
    stage.worker(queues=("celery", "mail"))
    enqueue_many(TASK, [((), {"seconds": 1})] * 3, queue="mail", priorities=[9, 6, 4])  # the third runs later
    waiting_job(priority=5)
    waiting_job(priority=9, delay=60)  # not due
    enqueue_many(TASK, [((), {"seconds": 1})] * 2, queue="elsewhere", priorities=[9, 9])  # no worker of ours serves it
    job = waiting_job(priority=5)
    waiting_job(priority=5)  # younger
    assert page(job) == "3 jobs are ahead of it."


def test_how_long_the_others_take_comes_from_the_pace_of_the_last_minutes(page: Any, stage: Stage) -> None:
    stage.leader()
    stage.worker()
    now = timezone.now()
    enqueue_many(TASK, [((), {"seconds": 1})] * 100)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE jobs_job SET status = 'completed', started_at = %s, runs = 1, worker = 1,
                      finished_at = %s - id %% 100 * interval '1 s'""",
            [now - timedelta(hours=1), now],
        )  # 100 in 100 seconds
    enqueue_many(TASK, [((), {"seconds": 1})] * 37)
    found = re.match(r"37 jobs are ahead of it, about (\d+) s\.$", page(waiting_job()))
    assert found
    assert 30 <= int(found[1]) <= 50


def test_all_slots_are_taken(page: Any, stage: Stage) -> None:
    stage.leader()
    worker = stage.worker(slots=2)
    claimed(worker, name="the long one")
    claimed(worker)
    text = page(waiting_job())
    assert re.match(
        r"It is next, as soon as a slot is free\. All 2 slots are taken; the long one has been running longest, for .* s\.$", text
    )


def test_redis_is_away(page: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.leader()
    stage.worker()
    monkeypatch.setattr(lanes.broker, "client", lambda *_, **__: redis.Redis(unix_socket_path="/nowhere/redis.sock"))
    job = waiting_job()
    assert page(job).startswith("Redis does not answer")
    with connection.cursor() as cursor:
        outages.note(cursor, outages.REDIS, 7200)
    began = timezone.localtime(timezone.now() - timedelta(hours=2))
    assert re.match(r"Redis has been unreachable since (\d+ \w+ )?\d\d:\d\d, so no job is handed to a worker\.", page(job))
    assert f"{began:%H:%M}" in page(job) or f"{began + timedelta(minutes=1):%H:%M}" in page(job)
    with translation.override("ar"):
        assert waiting.why(job).sentence.startswith("تعذّر الوصول إلى Redis منذ")


def test_redis_takes_no_messages(page: Any, stage: Stage) -> None:
    stage.leader()
    stage.worker()
    job = waiting_job()
    with connection.cursor() as cursor:
        outages.note(cursor, f"{outages.REFUSING}it is full", 7200)
    assert re.match(
        r"Redis has accepted no messages since (\d+ \w+ )?\d\d:\d\d, so no job is handed to a worker: it is full It is safe", page(job)
    )
    gate = next(gate for gate in waiting.why(job).gates if gate.stop)
    assert gate.text == "Redis is not accepting messages"


def test_a_note_of_another_outage_is_not_taken_for_this_one() -> None:
    def note(seconds: float, seen: float = 0.0) -> float:
        with connection.cursor() as cursor:
            outages.note(cursor, outages.REDIS, seconds)
            cursor.execute("UPDATE jobs_outage SET seen_at = seen_at - make_interval(secs => %s)", [seen])
        found = outages.since(outages.REDIS)
        return (timezone.now() - found).total_seconds() if found else -1.0

    assert note(100) == pytest.approx(100, abs=10)
    assert note(2) == pytest.approx(100, abs=10), "the next leader goes on with it"
    assert note(2, seen=3600) == -1, "nobody has seen it for an hour"
    assert note(2) == pytest.approx(2, abs=10)
    with connection.cursor() as cursor:
        outages.clear(cursor)
    assert outages.since(outages.REDIS) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "less than 1 s"), (48, "48 s"), (60, "1 min"), (125, "2 min and 5 s"), (7500, "2 h and 5 min"), (200_000, "2 d and 7 h")],
)
def test_times_are_said_in_words(seconds: float, words: str) -> None:
    with translation.override("en"):
        assert span(seconds) == words


def test_where_no_worker_is_up_it_is_the_worker_that_is_missing() -> None:
    answer = waiting.why(waiting_job())
    assert answer.sentence == "No worker is up, so no jobs run."
    assert [gate.text for gate in answer.gates if gate.stop] == ["No worker serves its queue"]


def test_the_first_closed_gate_is_the_reason(stage: Stage) -> None:
    stage.leader()
    claimed(stage.worker(slots=1))
    gates = waiting.why(waiting_job()).gates
    assert [gate.text for gate in gates if gate.stop] == [gate.text for gate in gates if not gate.open][:1]
    assert not gates[-1].open


def test_an_arabic_page_has_arabic_reasons(client: Client, stage: Stage) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    content = client.get(f"/jobs/{waiting_job().id}/").content.decode()
    assert "لماذا تنتظر هذه المهمة؟" in content


def nodes(plan: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(plan["Node Type"], plan.get("Relation Name", ""))]
    return found + [node for part in plan.get("Plans", []) for node in nodes(part)]


def test_the_numbers_are_read_from_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, runs, worker, started_at, finished_at)
               SELECT 't', 'completed', 1, 1, now() - interval '2 days', now() - interval '2 days' FROM generate_series(1, 30000)"""
        )
        cursor.execute("INSERT INTO jobs_job (task) SELECT 't' FROM generate_series(1, 300)")
        cursor.execute("ANALYZE jobs_job")
        values = {"queues": ["celery"], "priority": 5, "run_at": timezone.now(), "id": 1, "most": 10_001, "recent": 300}
        for sql in (waiting_store._AHEAD, waiting_store._PACE):
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
            assert ("Seq Scan", "jobs_job") not in nodes(cursor.fetchone()[0][0]["Plan"])


def test_a_job_that_replaced_itself_waits_for_what_it_was_replaced_by(page: Any, stage: Stage) -> None:
    job = claimed(stage.worker())
    with connection.cursor() as cursor:
        assert transitions.replace(cursor, Run(id=job.id, runs=1))
    job.refresh_from_db()
    assert page(job) == "It was replaced by other tasks and ends when they do."
    (stop,) = (gate.text for gate in waiting.why(job).gates if gate.stop)
    assert "replaced" in stop
    with translation.override("ar"):
        assert waiting.why(job).sentence == "استُبدلت بمهام أخرى، وتنتهي بانتهائها."


def test_a_job_that_lost_its_worker_twice_is_what_the_others_wait_for(page: Any, stage: Stage) -> None:
    stage.leader()
    worker = stage.worker(slots=4)
    claimed(worker)
    suspect = waiting_job()
    Job.objects.filter(id=suspect.id).update(losses=2, runs=2)
    suspect.refresh_from_db()
    other = waiting_job(priority=9)
    assert page(other) == "A slot is free: it starts now."
    stage.alone()
    assert page(other) == f"It waits for job {suspect.id}, which lost its worker twice and runs alone, at most 20 s."
    assert page(suspect) == "It lost its worker twice, so it waits for the jobs running on its worker to end, at most 15 s."
    for job in (other, suspect):
        (stop,) = (gate.text for gate in waiting.why(job).gates if gate.stop)
        assert stop == (
            f"Nothing starts alongside job {suspect.id} now" if job is other else "The jobs running on its worker have not ended"
        )
    with translation.override("ar"):
        assert waiting.why(other).sentence == f"تنتظر المهمة {suspect.id} التي فقدت عاملها مرتين وتعمل وحدها، 20 ث على الأكثر."
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=suspect.id, runs=3), task_id=suspect.task_id, worker=worker, queue="celery", priority=5)
    assert page(other).startswith(f"It waits for job {suspect.id},")


def test_another_worker_with_a_free_slot_takes_the_others(page: Any, stage: Stage) -> None:
    stage.leader()
    Job.objects.filter(id=claimed(stage.worker()).id).update(losses=2)
    stage.alone()
    another = Stage()
    another.worker()
    job = waiting_job()
    assert page(job) == "A slot is free: it starts now."
    another.life.close()
    until(lambda: page(job).startswith("It waits for job "), timeout=10)
