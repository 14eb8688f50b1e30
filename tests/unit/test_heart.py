"""A heartbeat that Redis does not take is dropped; what happened to tasks is told once it takes one."""

from types import SimpleNamespace
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from jobs.worker.heart import Beats


class Producer:
    """Takes what is published, or nothing."""

    def __init__(self) -> None:
        self.away = False
        self.taken: list[str] = []
        self.retried = False

    def publish(self, event: Any, *, routing_key: str, retry: bool, **_: Any) -> None:
        self.retried |= retry
        if self.away:
            raise OperationalError
        self.taken.append(routing_key)


def test_a_beat_is_dropped_and_a_task_s_event_goes_behind_the_next_one() -> None:
    with Celery("none", broker="memory://", set_as_current=False).connection_for_write() as connection:
        eventer = Celery("none", broker="memory://", set_as_current=False).events.Dispatcher(connection, hostname="w@here", enabled=True)
        eventer.producer = producer = Producer()
        beats = Beats(SimpleNamespace(), eventer, 2.0)
        producer.away = True
        eventer.send("task-started", uuid="a")
        beats._send("worker-heartbeat")
        assert [key for _, key in eventer._outbound_buffer] == ["task.started"]
        producer.away = False
        beats._send("worker-heartbeat")
    assert producer.taken == ["worker.heartbeat", "task.started"]
    assert not eventer._outbound_buffer
    assert not producer.retried
