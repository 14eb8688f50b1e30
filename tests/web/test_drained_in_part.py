"""A worker that answers for some of its queues only."""

from typing import Any

import pytest

from jobs import steering
from jobs.domain.actors import Actor
from jobs.models import Audit, Worker

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


def test_a_drain_that_is_not_answered_at_all_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: Any) -> None:
        raise steering.NoAnswer

    monkeypatch.setattr(steering, "_ask", ask)
    with pytest.raises(steering.NoAnswer):
        steering.drain(worker_row(queues=["a"]), SARA)
    assert not Audit.objects.exists()
