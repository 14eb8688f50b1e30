"""Redis killed, emptied, stopped, full, its connections cut or half open: nothing is lost, and nothing runs twice because of it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app
from django.conf import settings
from django.db import connection

from jobs import control, enqueue, enqueue_many
from jobs.dev import places, redis_server
from jobs.domain.priority import lane_key, lane_of
from jobs.models import Job
from jobs.store import broker, outages, stats
from tests.own_redis import OwnRedis
from tests.proxy import proxy
from tests.stream import Stream
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
AGAIN = 5.0  # seconds from Redis' answer to the next start of a job; a loaded machine gets twice as long
LOADED = 2


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def naps() -> Stream:
    return Stream(lambda: enqueue("t.nap", args=[0.01]).id, lambda: connection.close())


def now() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def seconds_until_next_start(since: Any) -> float:
    """From `since` to the first start of a job after it."""
    started = until(lambda: Job.objects.filter(started_at__gt=since).order_by("started_at").first(), timeout=60, what="a job starts")
    return float((started.started_at - since).total_seconds())


def complete_once(ids: list[int]) -> None:
    """All of them end, after one run each."""
    until(lambda: Job.objects.filter(id__in=ids, status="completed").count() == len(ids), timeout=60, what="all complete")
    assert set(Job.objects.filter(id__in=ids).values_list("runs", flat=True)) == {1}


def check_restarts(tmp_path: Path, own_redis: OwnRedis, times: int) -> list[float]:
    """Kill Redis and start it empty, `times` times; how long each took until a job started again."""
    taken = []
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url) as worker, naps() as stream:
        for number in range(times):
            until(lambda: Job.objects.filter(status="completed").count() > 10, timeout=30)
            own_redis.kill()
            time.sleep((0.2, 3.0)[number % 2])  # how long it is away, not a wait for something
            own_redis.start()
            since = now()
            taken.append(seconds_until_next_start(since))
            until(lambda since=since: Job.objects.filter(started_at__gt=since).count() > 20, timeout=30)  # type: ignore[misc]
        stream.stop.set()
        complete_once(stream.ids)
        assert worker.poll() is None
    return taken


def test_redis_killed_and_restarted_empty(tmp_path: Path, own_redis: OwnRedis) -> None:
    assert max(check_restarts(tmp_path, own_redis, 2)) < AGAIN * LOADED


@pytest.mark.chaos
def test_redis_restarted_twenty_times(tmp_path: Path, own_redis: OwnRedis, record_property: Callable[[str, object], None]) -> None:
    taken = check_restarts(tmp_path, own_redis, 20)
    record_property("seconds until a job started again", [round(value, 2) for value in taken])
    assert max(taken) < AGAIN * LOADED


@pytest.mark.slow
def test_the_leader_goes_on_without_redis(tmp_path: Path, own_redis: OwnRedis) -> None:
    """Redis is stopped: a dead worker's job is given back, a cancel works, jobs are accepted; then all of it runs."""
    with (
        running_worker(tmp_path / "leads", "-Q", "celery", REDIS_URL=own_redis.url),
        running_worker(tmp_path / "dies", "-Q", "other", REDIS_URL=own_redis.url, JOBS_LEADER_CHILD="False") as dies,
    ):
        lost = enqueue("t.nap", args=[60], queue="other").id
        late = enqueue("t.nap", args=[60], queue="other", timeout=2, max_retries=0).id
        until(lambda: Job.objects.filter(status="running").count() == 2, timeout=20)
        with own_redis.stopped():
            os.kill(dies.pid, signal.SIGSTOP)
            until(lambda: Job.objects.get(id=late).status == "failed", timeout=5 * LOADED, what="a late job is ended")
            os.kill(dies.pid, signal.SIGKILL)
            until(lambda: Job.objects.get(id=lost).losses == 1, timeout=5 * LOADED, what="the dead worker's job is given back")
            waits = enqueue("t.add", args=[1, 2]).id
            gone = enqueue("t.add", args=[1, 2]).id
            assert control.cancel([gone], "sara").done == [gone]
            until_logged(tmp_path / "leads", "is not accepting messages")
            assert 0 <= (now() - until(lambda: outages.since(outages.REDIS), what="since when is noted")).total_seconds() < 60
            assert Job.objects.get(id=waits).status == "pending"
        since = now()
        assert seconds_until_next_start(since) < AGAIN * LOADED
        until(lambda: outages.since(outages.REDIS) is None, what="it is noted that Redis answers")
        complete_once([waits])
        assert (tmp_path / "leads").read_text().count("is the leader now") == 1, "its term goes on"


def test_a_page_knows_a_redis_that_was_started_again(own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that is kept for the question is one to the server that died."""
    monkeypatch.setattr(current_app.conf, "broker_url", own_redis.broker_url)
    assert stats.redis_lives()
    own_redis.kill()
    assert not stats.redis_lives()
    own_redis.start()
    assert stats.redis_lives()
    with own_redis.stopped():
        assert not stats.redis_lives()
    assert stats.redis_lives()


def until_logged(log: Path, text: str) -> None:
    until(lambda: text in log.read_text(), timeout=60, what=f"{text!r} in the log")


@pytest.mark.chaos
def test_redis_stopped_for_thirty_seconds(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url), naps() as stream:
        until(lambda: Job.objects.filter(status="completed").count() > 10, timeout=30)
        with own_redis.stopped():
            time.sleep(30)
        since = now()
        assert seconds_until_next_start(since) < AGAIN * LOADED
        stream.stop.set()
        complete_once(stream.ids)


@pytest.fixture
def other_redis(data_dir: Path) -> Iterator[OwnRedis]:
    """A second server, empty."""
    server = OwnRedis(data_dir / "other" / "redis")
    yield server
    redis_server.stop(server.folder)
    places.remove_socket_folder(server.folder.parent / "postgres")


@pytest.mark.chaos
@pytest.mark.parametrize("pool", ["gevent", "threads"])
def test_redis_replaced_by_another_server(tmp_path: Path, own_redis: OwnRedis, other_redis: OwnRedis, pool: str) -> None:
    """At the same address; then the first one again, with the messages that lay there. It ends its connections, or is cut off silently."""
    with (
        proxy(str(own_redis.socket)) as between,
        running_worker(tmp_path / "log", pool=pool, REDIS_URL=f"redis://127.0.0.1:{between.port}/0") as worker,
        naps() as stream,
    ):
        waiting = enqueue_many("t.nap", [((0.05,), {})] * 400)
        for server, leave in ((other_redis, between.cut), (own_redis, between.freeze)):
            before = Job.objects.filter(status="completed").count()
            until(lambda before=before: Job.objects.filter(status="completed").count() > before + 10, timeout=30)  # type: ignore[misc]
            between.target = str(server.socket)
            assert leave() >= 2
            assert seconds_until_next_start(now()) < AGAIN * LOADED
        stream.stop.set()
        complete_once([*waiting, *stream.ids])
        assert worker.poll() is None


@pytest.mark.chaos
def test_connections_cut_while_popping(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url), naps() as stream, own_redis.client() as client:
        for _ in range(15):
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.1)
        stream.stop.set()
        complete_once(stream.ids)


@pytest.mark.slow
def test_half_open_connections_are_noticed(tmp_path: Path, own_redis: OwnRedis) -> None:
    with (
        proxy(str(own_redis.socket)) as between,
        running_worker(tmp_path / "log", REDIS_URL=f"redis://127.0.0.1:{between.port}/0"),
        naps() as stream,
    ):
        for _ in range(2):
            until(lambda: Job.objects.filter(status="completed").count() > 10, timeout=30)
            assert between.freeze() >= 2
            assert seconds_until_next_start(now()) < AGAIN * LOADED
        stream.stop.set()
        complete_once(stream.ids)


@pytest.mark.chaos
def test_redis_that_is_full_refuses_messages_and_nothing_else_stops(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url), own_redis.client() as client:
        client.config_set("maxmemory", 1)
        ids = enqueue_many("t.add", [((n, 1), {}) for n in range(20)])
        until_logged(tmp_path / "log", "is not accepting messages")
        assert control.cancel([ids[0]], "sara").done == [ids[0]]
        client.config_set("maxmemory", 0)
        complete_once(ids[1:])


@pytest.mark.slow
def test_what_runs_goes_on_while_redis_is_away(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url):
        job = enqueue("t.longest_gap", args=[6])
        until(lambda: Job.objects.get(id=job.id).status == "running", timeout=15)
        own_redis.kill()
        until(lambda: Job.objects.get(id=job.id).status == "completed", timeout=20)
        own_redis.start()
    assert Job.objects.get(id=job.id).result < 1.5, "seconds in which no greenlet of the worker ran"


def test_a_worker_that_starts_while_redis_is_full_works_afterwards(tmp_path: Path, own_redis: OwnRedis) -> None:
    ids = enqueue_many("t.add", [((n, 1), {}) for n in range(20)])
    log = tmp_path / "log"
    log.touch()
    with own_redis.client() as client:
        client.config_set("maxmemory", 1)

        def make_room() -> None:
            until_logged(log, "command not allowed")
            client.config_set("maxmemory", 0)

        helper = threading.Thread(target=make_room)
        helper.start()
        with running_worker(log, REDIS_URL=own_redis.url) as worker:
            complete_once(ids)
            assert worker.poll() is None
        helper.join(60)


def test_a_worker_whose_loop_fails_ends_with_an_error(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", EXTRA_INSTALLED_APPS="tests.taskapp,tests.brokenapp", BREAK="loop") as worker:
        until(lambda: worker.poll() is not None, timeout=30)
    assert worker.returncode == 1
    assert "Unrecoverable error" in (tmp_path / "log").read_text()


def test_a_changed_priority_is_sent_again_at_once(tmp_path: Path) -> None:
    client = broker.client(settings.CELERY_BROKER_URL)
    with running_worker(tmp_path / "log"):
        enqueue_many("t.nap", [((60,), {})] * 4, priority=9)
        until(lambda: Job.objects.filter(status="running").count() == 4, timeout=20)
        job = enqueue("t.add", args=[1, 2], priority=2)
        until(lambda: client.llen("jobs:" + lane_key("celery", lane_of(2))) == 1, timeout=10)
        control.change_priority([job.id], 7)
        changed = time.monotonic()
        until(lambda: client.llen("jobs:" + lane_key("celery", lane_of(7))) == 1, timeout=10, every=0.005)
        assert time.monotonic() - changed < 0.5 * LOADED
        control.cancel(list(Job.objects.filter(status="running").values_list("id", flat=True)), "sara")
        until(lambda: Job.objects.get(id=job.id).status == "completed", timeout=15)
        assert Job.objects.get(id=job.id).runs == 1


def test_remote_control_works_after_redis_was_away(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url) as worker:
        own_redis.kill()
        own_redis.start()
        until_logged(tmp_path / "log", "what runs goes on")
        app = Celery("outside", broker=f"redis+socket://{own_redis.socket}?virtual_host=0", set_as_current=False)
        app.conf.broker_transport_options = {"global_keyprefix": "jobs:"}
        until(lambda: app.control.ping(timeout=0.5), timeout=15, what="the worker answers a ping")
        app.control.shutdown()
        assert worker.wait(20) == 0
        app.close()
