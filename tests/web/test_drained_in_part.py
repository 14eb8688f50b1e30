"""A worker that answers for some of its queues only."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.test import Client
from kombu.exceptions import OperationalError

from jobs import steering
from jobs.domain.actors import Actor
from jobs.models import Audit, Worker
from jobs.models.audit import Verb
from jobs.store import audit

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara")


def worker_row(queues: list[str]) -> Worker:
    return Worker.objects.create(
        name="blue@host", hostname="host", pid=1, pool="gevent", concurrency=4, queues=queues, tasks=[], versions={}
    )


def test_what_it_served_is_known_after_a_drain_that_was_answered_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, asked, deaf = worker_row(["a", "b", "c"]), [], {"b"}

    def ask(command: str, worker: Worker, queue: str) -> None:
        if queue in deaf:
            raise steering.NoAnswer
        asked.append((command, queue))

    monkeypatch.setattr(steering, "_ask", ask)
    with pytest.raises(steering.NoAnswer):
        steering.drain(worker, SARA)
    worker.queues = ["b", "c"]  # what it then says of itself
    deaf.clear()
    steering.drain(worker, SARA)
    worker.queues = []
    assert steering.former_queues(worker) == ["a", "b", "c"]
    asked.clear()
    steering.resume(worker, SARA)
    assert asked == [("add_consumer", queue) for queue in "abc"]
    worker.queues = ["b"]
    steering.drain(worker, SARA)
    worker.queues = []
    assert steering.former_queues(worker) == ["b"]  # of the drains since it was resumed


def test_a_resume_that_was_answered_in_part_is_recorded_and_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, deaf, asked = worker_row(["a", "b", "c"]), {"b"}, []

    def ask(command: str, worker: Worker, queue: str) -> None:
        asked.append(queue)
        if command == "add_consumer" and queue in deaf:
            raise steering.NoAnswer

    monkeypatch.setattr(steering, "_ask", ask)
    steering.drain(worker, SARA)
    worker.queues = []
    with pytest.raises(steering.NoAnswer):
        steering.resume(worker, SARA, reason="a disk")
    assert list(Audit.objects.filter(verb="resume").values_list("before", "after", "note")) == [
        ({"queues": []}, {"queues": ["a"]}, "a disk")
    ]
    assert steering.former_queues(worker) == ["b", "c"]  # also before it has said of itself that it serves one
    worker.queues = ["a"]
    assert steering.drained([worker]) == {worker.name: ["b", "c"]}
    deaf.clear()
    asked.clear()
    steering.resume(worker, SARA)
    assert asked == ["b", "c"]
    assert Audit.objects.filter(verb="resume").values_list("after", flat=True)[0] == {"queues": ["a", "b", "c"]}
    worker.queues = ["a", "b", "c"]
    assert steering.drained([worker]) == {}
    asked.clear()
    steering.resume(worker, SARA)  # as a second person may, from a page that was opened before
    assert not asked
    assert Audit.objects.filter(verb="resume").count() == 2


def test_a_resume_that_is_not_answered_at_all_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any) -> None:
        raise steering.NoAnswer

    monkeypatch.setattr(steering, "_ask", ask)
    with pytest.raises(steering.NoAnswer):
        steering.resume(worker_row(queues=[]), SARA)
    assert not Audit.objects.exists()


def test_a_worker_that_serves_some_of_its_queues_can_be_drained_and_resumed(sara: Client, worker: int) -> None:
    row = Worker.objects.get(pk=worker)
    Worker.objects.filter(pk=worker).update(queues=["a"])

    def offered() -> list[list[str]]:
        pages = [sara.get(address).content.decode() for address in ("/jobs/workers/", f"/jobs/workers/{worker}/")]
        return [[verb for verb in ("drain", "resume") if f'id="{verb}-{worker}"' in page] for page in pages]

    assert offered() == [["drain"]] * 2
    with connection.cursor() as cursor:
        audit.steered(cursor, SARA, Verb.DRAIN, row.name, {"queues": ["a", "b"]}, {"queues": ["a"]})
    assert offered() == [["drain", "resume"]] * 2
    Worker.objects.filter(pk=worker).update(queues=[])
    assert offered() == [["resume"]] * 2


def test_a_drain_that_is_not_answered_at_all_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any) -> None:
        raise steering.NoAnswer

    monkeypatch.setattr(steering, "_ask", ask)
    with pytest.raises(steering.NoAnswer):
        steering.drain(worker_row(queues=["a"]), SARA)
    assert not Audit.objects.exists()


def test_what_an_earlier_worker_of_the_name_was_asked_is_past() -> None:
    """Beside one that is older than that."""
    old, first = worker_row(["a"]), worker_row(["b"])
    Worker.objects.filter(pk=first.pk).update(name="green@host")
    first.refresh_from_db()
    with connection.cursor() as cursor:
        audit.steered(cursor, SARA, Verb.DRAIN, first.name, {"queues": ["b"]}, {"queues": []})
    first.delete()
    later = worker_row([])
    later.name = "green@host"
    assert steering.drained([old, later]) == {}


def test_a_redis_that_goes_before_the_last_word_is_no_failure_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = worker_row(["a"])
    monkeypatch.setattr(steering, "_ask", lambda *_: None)
    monkeypatch.setattr(current_app.control, "shutdown", lambda **_: (_ for _ in ()).throw(OperationalError("gone")))
    with pytest.raises(steering.NoAnswer):
        steering.shut_down(worker, SARA)
    assert not Audit.objects.exists()


@pytest.mark.parametrize(("system", "said"), [("linux", 200_000), ("darwin", 204_800_000)])
def test_the_memory_of_a_worker_is_in_bytes(monkeypatch: pytest.MonkeyPatch, system: str, said: int) -> None:
    """Linux counts it in units of 1024, macOS in single ones."""
    answer = {"blue@host": {"rusage": {"maxrss": said}}}
    monkeypatch.setattr(current_app.control, "inspect", lambda **_: SimpleNamespace(stats=lambda: answer))
    monkeypatch.setattr(sys, "platform", system)
    assert steering.memory(worker_row(["a"])) == 204_800_000


def test_a_redis_that_is_away_is_no_failure_of_the_page_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """kombu has an error of its own for what it cannot reach."""

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("refused")

    worker = worker_row(["a"])
    for name in ("ping", "cancel_consumer", "inspect"):
        monkeypatch.setattr(current_app.control, name, away)
    assert steering.memory(worker) is None
    for steer in (steering.drain, steering.shut_down):
        with pytest.raises(steering.NoAnswer):
            steer(worker, SARA)
    assert not Audit.objects.exists()
