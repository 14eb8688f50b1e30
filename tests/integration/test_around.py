"""What people use around Celery: beat, Flower, remote control, events, routes, several queues and workers."""

import itertools
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db.models.expressions import RawSQL

from jobs import enqueue, enqueue_many
from jobs.control import cancel
from jobs.models import Job, Worker
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
CELERY = [sys.executable, "-m", "celery", "-A", "task_queue_project"]


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def ended(*ids: int, timeout: float = 30) -> list[Job]:
    until(lambda: Job.objects.filter(id__in=ids, finished_at__isnull=False).count() == len(ids), timeout=timeout)
    return [Job.objects.get(id=id) for id in ids]


def celery(*arguments: str, code: int = 0, **extra: str) -> str:
    done = subprocess.run(
        [*CELERY, *arguments], cwd=ROOT, env=environment(**extra), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def answer(command: str, *arguments: Any, **options: Any) -> Any:
    """What the one worker says; asked again while a loaded machine makes it late."""
    inspect = current_app.control.inspect(timeout=10, limit=1)

    def ask() -> Any:
        found = getattr(inspect, command)(*arguments, **options)
        return list(found.values()) if found else None

    (one,) = until(ask, timeout=30)
    return one


def control(command: str, *arguments: Any) -> Any:
    replies = getattr(current_app.control, command)(*arguments, reply=True, timeout=20, limit=1)
    ((reply,),) = [list(each.values()) for each in replies]
    return reply


@contextmanager
def process(log: Path, *command: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does."""
    with log.open("wb") as out:
        started = subprocess.Popen(command, cwd=ROOT, env=environment(**extra), stdout=out, stderr=subprocess.STDOUT)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


def test_inspect_and_control(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", slots=2):
        assert answer("ping") == {"ok": "pong"}
        naps = [enqueue("t.nap", kwargs={"seconds": 60}, name=str(n)).id for n in range(3)]
        until(lambda: Job.objects.filter(status="running").count() == 2)
        active = answer("active")
        assert {request["kwargs"]["seconds"] for request in active} == {60}
        assert {request["name"] for request in active} == {"t.nap"}
        assert answer("reserved") == answer("scheduled") == []
        later = enqueue("t.nap", kwargs={"seconds": 0}, delay=3600)
        asked = answer("query_task", active[0]["id"], later.task_id, "nobody")
        assert {id: state for id, (state, _) in asked.items()} == {active[0]["id"]: "active", later.task_id: "scheduled"}
        assert asked[later.task_id][1] == answer("scheduled")[0]["request"]
        odd = enqueue("t.nap", kwargs={"seconds": 0}, delay=3600)
        unknown, options = '[{"__type__": "no such", "__value__": 1}]', '{"properties": {"priority": "many"}}'
        Job.objects.filter(pk=odd.pk).update(args=RawSQL("%s::json", [unknown]), options=RawSQL("%s::json", [options]))
        assert answer("query_task", odd.task_id)[odd.task_id][1]["args"] == unknown
        assert [line["request"]["id"] for line in answer("scheduled")] == [later.task_id, odd.task_id]
        assert "t.nap" in answer("registered")
        assert answer("stats")["pool"]["max-concurrency"] == 2
        assert control("pool_grow", 1) == {"ok": "pool will grow"}
        until(lambda: Job.objects.filter(status="running").count() == 3)
        assert Worker.objects.get().concurrency == 3
        assert control("pool_shrink", 2) == {"ok": "pool will shrink"}
        assert "at least one slot" in str(control("pool_shrink", 1))
        more = enqueue_many("t.nap", [((0.2,), {})] * 3)
        cancel(naps, "test")
        assert {job.status for job in ended(*naps)} == {"cancelled"}
        assert _most_at_once(ended(*more)) == 1
        assert answer("stats")["total"]["t.nap"] == 6
        assert "Autoscale not enabled" in str(control("autoscale", 4, 1))
    assert not Worker.objects.exists()


def _most_at_once(jobs: list[Job]) -> int:
    edges = sorted([(job.started_at, 1) for job in jobs] + [(job.finished_at, -1) for job in jobs])
    counts, now = [], 0
    for _, step in edges:
        now += step
        counts.append(now)
    return max(counts)


@pytest.mark.slow
def test_queues_are_added_and_cancelled_while_a_worker_runs(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", "-Q", "celery"):
        waiting = enqueue("t.add", args=[1, 2], queue="extra").id
        (first,) = ended(enqueue("t.add", args=[1, 1]).id)
        assert Job.objects.get(id=waiting).status == "pending"
        assert "add consumer extra" in str(control("add_consumer", "extra"))
        (job,) = ended(waiting)
        assert job.result == 3
        assert Worker.objects.get().queues == ["celery", "extra"]
        assert "no longer consuming from extra" in str(control("cancel_consumer", "extra"))
        until(lambda: Worker.objects.get().queues == ["celery"])
        again = enqueue("t.add", args=[1, 2], queue="extra").id
        ended(*[enqueue("t.add", args=[1, n]).id for n in range(5)])
        assert Job.objects.get(id=again).status == "pending"
        assert first.worker == job.worker


def _forget_routes() -> None:
    """Celery reads task_routes once; another test of this process may have sent something before."""
    current_app.amqp.flush_routes()
    vars(current_app.amqp).pop("router", None)


def test_two_workers_with_different_queues_and_a_route(tmp_path: Path) -> None:
    routed = {"t.nap": {"queue": "slow", "priority": 8}}
    current_app.conf.task_routes = routed
    _forget_routes()
    try:
        nap = current_app.tasks["t.nap"].delay(0)
        add = current_app.tasks["t.add"].delay(1, 1)
    finally:
        current_app.conf.task_routes = None
        _forget_routes()
    with (
        running_worker(tmp_path / "one", "-Q", "celery", "-n", "one@%h"),
        running_worker(tmp_path / "two", "-Q", "slow,mail", "-n", "two@%h"),
    ):
        mail = enqueue("t.add", args=[2, 2], queue="mail").id
        jobs = ended(*Job.objects.filter(task_id__in=[nap.id, add.id]).order_by("task").values_list("id", flat=True), mail)
        names = dict(Worker.objects.values_list("id", "name"))
        assert [names[job.worker].split("@")[0] for job in jobs] == ["one", "two", "two"]
        assert (jobs[1].queue, jobs[1].priority) == ("slow", 8)


def test_autoscale_is_refused_with_one_line() -> None:
    for pool in ("gevent", "prefork"):
        out = celery("worker", "-P", pool, "--autoscale", "8,2", code=1, LANGUAGE_CODE="en")
        assert "--autoscale is refused" in out
        assert "Traceback" not in out
    assert not Worker.objects.exists()


def test_a_pool_that_celery_does_not_bring_along_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "ownpool.py").write_text("from celery.concurrency.solo import TaskPool\n\nclass Pool(TaskPool):\n    pass\n")
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    own = {"CELERY_CUSTOM_WORKER_POOL": "ownpool:Pool", "PYTHONPATH": path}
    out = celery("worker", "-P", "custom", code=1, LANGUAGE_CODE="en", **own)
    assert "The pool ownpool:Pool is refused" in out
    assert "Traceback" not in out
    assert not Worker.objects.exists()


def test_call_status_and_events(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", "-E"), process(tmp_path / "events", *CELERY, "events", "--dump", PYTHONUNBUFFERED="1"):
        until(lambda: b"heartbeat" in (tmp_path / "events").read_bytes(), timeout=30)
        task_id = celery("call", "t.add", "--args", "[20, 3]").strip().splitlines()[-1]
        (job,) = ended(Job.objects.get(task_id=task_id).id)
        assert job.result == 23
        assert "1 node online" in celery("status")
        until(lambda: b"task succeeded" in (tmp_path / "events").read_bytes(), timeout=20)
        events = (tmp_path / "events").read_text()
        for kind in ("task received", "task started", "task succeeded"):
            assert kind in events
        assert task_id in events
        current_app.tasks["t.add"].apply_async((1, 1), countdown=600).revoke()
        until(lambda: b"task revoked" in (tmp_path / "events").read_bytes(), timeout=20)
        assert "23" in celery("result", task_id)


def test_beat_makes_one_row_a_tick(tmp_path: Path) -> None:
    (tmp_path / "beatapp.py").write_text(
        "from task_queue_project.celery import app\n"
        "app.conf.beat_schedule = {'often': {'task': 't.add', 'schedule': 1.0, 'args': (1, 2), 'options': {'priority': 7}}}\n"
    )
    beat = [sys.executable, "-m", "celery", "-A", "beatapp", "beat", "-l", "INFO", "-s", str(tmp_path / "schedule")]
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    log = tmp_path / "log"
    with process(log, *beat, PYTHONPATH=path):
        until(lambda: Job.objects.count() >= 3, timeout=40)
    jobs = list(Job.objects.order_by("id"))
    assert len(jobs) == log.read_text().count("Sending due task often")
    assert {(job.task, tuple(job.args), job.priority, job.status) for job in jobs} == {("t.add", (1, 2), 7, "pending")}
    apart = [(after.created_at - before.created_at).total_seconds() for before, after in itertools.pairwise(jobs)]
    assert all(gap >= 0.5 for gap in apart)


BEAT_TABLES = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
every = IntervalSchedule.objects.create(every=1, period="seconds")
PeriodicTask.objects.create(interval=every, name="often", task="t.add", args="[3, 4]", queue="mail", priority=2)
PeriodicTask.objects.create(interval=every, name="off", task="t.add", args="[0, 0]", enabled=False)
PeriodicTask.objects.create(interval=every, name="once", task="t.add", args="[9, 9]", one_off=True)
"""


@pytest.mark.slow
def test_the_database_scheduler_makes_one_row_a_tick(tmp_path: Path) -> None:
    apps = {"EXTRA_INSTALLED_APPS": "tests.taskapp,django_celery_beat"}
    manage = [sys.executable, "manage.py"]
    log = tmp_path / "log"
    try:
        for command in (["migrate", "-v0", "django_celery_beat"], ["shell", "-v0", "-c", BEAT_TABLES]):
            subprocess.run([*manage, *command], cwd=ROOT, env=environment(**apps), check=True, timeout=60)
        beat = [*CELERY, "beat", "-l", "INFO", "--scheduler", "django_celery_beat.schedulers:DatabaseScheduler"]
        with process(log, *beat, **apps):
            until(lambda: Job.objects.filter(queue="mail").count() >= 3, timeout=40)
        jobs = list(Job.objects.filter(queue="mail"))
        assert len(jobs) == log.read_text().count("Sending due task often")
        assert {(job.args[0], job.args[1], job.priority) for job in jobs} == {(3, 4, 2)}
        assert [job.args for job in Job.objects.exclude(queue="mail")] == [[9, 9]]
    finally:
        subprocess.run([*manage, "migrate", "-v0", "django_celery_beat", "zero"], cwd=ROOT, env=environment(**apps), check=True, timeout=60)


def test_flower_shows_and_steers(tmp_path: Path, unused_tcp_port: int) -> None:
    flower = [*CELERY, "flower", f"--port={unused_tcp_port}", "--address=127.0.0.1"]
    base = f"http://127.0.0.1:{unused_tcp_port}/api"

    def get(path: str, data: dict[str, Any] | None = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{base}/{path}", body), timeout=20) as found:
                return json.load(found)
        except OSError:
            return None

    with running_worker(tmp_path / "log", "-E"), process(tmp_path / "flower", *flower, FLOWER_UNAUTHENTICATED_API="1"):
        until(lambda: get("workers?refresh=1"), timeout=40)
        ids = [enqueue("t.add", args=[1, 41]).task_id, enqueue("jobs.tasks.fail", max_retries=0).task_id]
        nap = enqueue("t.nap", kwargs={"seconds": 60}).task_id
        wanted = {ids[0]: "SUCCESS", ids[1]: "FAILURE", nap: "STARTED"}

        def told() -> Any:
            tasks = get("tasks") or {}
            return tasks if {id: (tasks.get(id) or {}).get("state") for id in wanted} == wanted else None

        found = until(told, timeout=30)
        assert [(found[id]["name"], found[id]["state"]) for id in ids] == [("t.add", "SUCCESS"), ("jobs.tasks.fail", "FAILURE")]
        assert (found[ids[0]]["args"], found[ids[0]]["result"]) == ("(1, 41)", "42")
        assert (found[nap]["state"], found[nap]["kwargs"]) == ("STARTED", "{'seconds': 60}")
        assert "Revoked" in get(f"task/revoke/{nap}?" + urllib.parse.urlencode({"terminate": "true"}), {})["message"]
        until(lambda: Job.objects.get(task_id=nap).status == "cancelled", timeout=20)
        assert get("task/apply/t.add", {"args": [5, 6]})["result"] == 11


@pytest.fixture
def unused_tcp_port() -> int:
    """A port of the loopback that nobody listens to."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
