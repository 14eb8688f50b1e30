"""Messages in Redis that say what is true no more: of a queue the job has left, of arguments it has no longer; and a Redis that refuses."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connection, transaction

from jobs import control, enqueue, enqueue_many
from jobs.models import DeadLetterQueue, Job
from tests.own_redis import OwnRedis
from tests.rows import are, open_gate
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LOADED = 2


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def test_jobs_that_are_moved_out_of_a_busy_queue_do_not_wait_for_it(tmp_path: Path) -> None:
    """Their messages lie in the lane of the queue they have left, where nobody pops them."""
    with (
        running_worker(tmp_path / "other", "-n", "other@here", "-Q", "celery"),
        running_worker(tmp_path / "busy", "-n", "busy@here", "-Q", "slow", JOBS_LEADER_CHILD="False"),
    ):
        busy = enqueue_many("t.gate", [(("moved",), {})] * 4, queue="slow")
        until(lambda: are("running", *busy), timeout=30)
        moved = enqueue_many("t.add", [((1, 2), {})] * 10, queue="slow")
        until(lambda: all_sent("slow", 10), timeout=20)
        assert control.change_queue(moved, "celery", "sara").done == sorted(moved)
        until(lambda: are("completed", *moved), timeout=3 * LOADED, what="they run in their new queue")
        assert are("running", *busy)
        open_gate("moved")
        until(lambda: are("completed", *busy), timeout=20)
    assert set(Job.objects.values_list("runs", flat=True)) == {1}


def lane(queue: str) -> tuple[Any, str]:
    """A client, and the list in which messages of the usual priority lie."""
    from django.conf import settings

    from jobs.domain.priority import DEFAULT, lane_key, lane_of
    from jobs.store import broker

    return broker.client(settings.CELERY_BROKER_URL), "jobs:" + lane_key(queue, lane_of(DEFAULT))


def all_sent(queue: str, count: int) -> bool:
    client, key = lane(queue)
    return int(client.llen(key)) >= count


def test_a_message_whose_body_is_not_in_its_encoding(tmp_path: Path) -> None:
    """Somebody has altered it in Redis: it is refused with a line, and the leader sends the job again."""
    log = tmp_path / "log"
    with running_worker(log):
        busy = enqueue_many("t.gate", [(("altered",), {})] * 4)
        until(lambda: are("running", *busy), timeout=30)
        job = enqueue("t.add", args=[1, 2]).id
        until(lambda: all_sent("celery", 1), timeout=20)
        client, key = lane("celery")
        message = json.loads(client.lindex(key, 0))
        message["properties"]["body_encoding"] = "base64"
        client.lset(key, 0, json.dumps(message | {"body": "a"}))
        client.rpush(key, json.dumps(message))  # signed as it is, but this text is none in base64 either
        open_gate("altered")
        until(lambda: are("completed", job, *busy), timeout=30)
    assert log.read_text().count("refused what is not a message") == 2
    assert Job.objects.get(id=job).runs == 1


def test_a_job_that_was_cancelled_and_sent_again_runs_with_what_it_was_sent_with_last(tmp_path: Path) -> None:
    """Its first message still lies in Redis when the second call comes."""
    with running_worker(tmp_path / "log"):
        busy = enqueue_many("t.gate", [(("again",), {})] * 4, priority=9)
        until(lambda: are("running", *busy), timeout=30)
        reprocessed = enqueue("t.same", kwargs={"value": "old"}).id
        current_app.tasks["t.same"].apply_async(("old",), task_id="mine")
        sent = Job.objects.get(task_id="mine").id
        until(lambda: all_sent("celery", 2), timeout=20)
        assert control.cancel([reprocessed, sent], "sara").done == [reprocessed, sent]
        assert control.reprocess([reprocessed], "sara", arguments={"value": "new"}).done == [reprocessed]
        current_app.tasks["t.same"].apply_async(("new",), task_id="mine")
        open_gate("again")
        until(lambda: are("completed", reprocessed, sent, *busy), timeout=30)
    assert [Job.objects.get(id=id).result for id in (reprocessed, sent)] == ["new", "new"]


def test_a_reprocessed_job_that_had_waited_for_a_retry_has_all_its_retries(tmp_path: Path) -> None:
    """The message of that retry, which says how many were spent, still lies in Redis."""
    with running_worker(tmp_path / "log", JOBS_RETRY_BACKOFF="0.5"):
        first, *others = enqueue_many("t.gate", [(("first",), {}), *[(("others",), {})] * 3], priority=9)
        until(lambda: are("running", first, *others), timeout=30)
        job = enqueue("jobs.tasks.fail", max_retries=1).id
        last = enqueue("t.gate", args=["others"], priority=0).id  # takes the slot after its first attempt
        until(lambda: all_sent("celery", 1), timeout=20)
        open_gate("first")
        until(lambda: are("running", *others, last), timeout=20)
        assert Job.objects.get(id=job).attempts == 1
        until(lambda: all_sent("celery", 1), timeout=20, what="the retry is due")
        assert control.cancel([job], "sara").done == [job]
        assert control.reprocess([job], "sara").done == [job]
        open_gate("others")
        until(lambda: are("failed", job), timeout=30)
    assert DeadLetterQueue.objects.get().attempts == 2


def test_an_expired_job_whose_row_is_locked_holds_up_no_other(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        sent = current_app.tasks["t.add"].apply_async((1, 2), expires=1, countdown=2)
        job = Job.objects.get(task_id=sent.id)
        locked = connection.copy()
        with locked.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [job.id])
            until(lambda: passed(job.id), timeout=20, what="it is due, and has expired")
            others = enqueue_many("t.nap", [((0.05,), {})] * 30)
            until(lambda: are("completed", *others), timeout=20)
            cursor.execute("ROLLBACK")
        locked.close()
        until(lambda: are("cancelled", job.id), timeout=20)


def passed(id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() > run_at + interval '1.5 s' FROM jobs_job WHERE id = %s", [id])
        return bool(cursor.fetchone()[0])


def test_a_redis_that_answers_and_refuses_everything_else(tmp_path: Path, own_redis: OwnRedis) -> None:
    """As one that has become a replica, or cannot write to its disk."""
    log = tmp_path / "log"
    with running_worker(log, REDIS_URL=own_redis.url), own_redis.client() as client:
        client.config_set("min-replicas-to-write", 1)
        job = enqueue("t.add", args=[1, 2]).id
        begun = time.monotonic()
        until(lambda: client.info("commandstats").get("cmdstat_blmpop", {}).get("rejected_calls", 0) >= 4, timeout=20)
        assert time.monotonic() - begun > 0.5, "it is asked a few times a second, not hundreds"
        assert log.read_text().count("Redis gives no messages, what runs goes on: ") == 1
        assert "Redis does not answer" not in log.read_text()
        client.config_set("min-replicas-to-write", 0)
        until(lambda: are("completed", job), timeout=5 * LOADED)


@pytest.mark.slow
def test_a_redis_that_is_emptied_again_and_again_and_then_pauses(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url), own_redis.client() as client:
        ids = enqueue_many("t.nap", [((0.02,), {})] * 300)
        for _ in range(40):
            client.flushall()
            time.sleep(0.1)  # how often it is emptied
        client.execute_command("CLIENT", "PAUSE", "4000", "ALL")
        until(lambda: are("completed", *ids), timeout=60)
    assert set(Job.objects.values_list("runs", flat=True)) == {1}


@pytest.mark.slow
def test_ten_thousand_jobs_are_cancelled_at_once_while_some_run(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log"):
        ids = enqueue_many("t.nap", [((60,), {})] * 10_000)
        until(lambda: Job.objects.filter(status="running").count() == 4, timeout=30)
        with transaction.atomic():
            assert len(control.cancel(ids, "sara").done) == 10_000
        until(lambda: are("cancelled", *ids), timeout=60)
        after = enqueue("t.add", args=[1, 2]).id
        until(lambda: are("completed", after), timeout=20)
