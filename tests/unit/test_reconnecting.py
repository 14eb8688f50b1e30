"""A worker that loses Redis again and again keeps nothing of the connections that it had."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from celery.worker.consumer import Consumer as StockConsumer
from kombu.asynchronous import Hub
from kombu.transport.redis import MultiChannelPoller

from jobs.worker.consumer import Consumer


def pollers() -> int:
    gc.collect()
    return sum(issubclass(type(found), MultiChannelPoller) for found in gc.get_objects())  # `isinstance` asks what is lazy


@pytest.fixture
def consumer() -> Iterator[Any]:
    made: Any = Consumer.__new__(Consumer)
    made.app, made.hub, made.amqheartbeat = current_app._get_current_object(), Hub(), None
    yield made
    made.hub.close()


def test_celery_s_loop_asks_the_connection_of_now_alone(consumer: Any) -> None:
    own = consumer.hub.on_tick
    own.add(print)  # a pool's
    before = pollers()
    for _ in range(5):
        connection = consumer.connect()
        connection.default_channel.client.ping()
        connection.close()
        consumer.hub.timer.clear()  # Celery cancels its entries
    assert len(own) == 2
    assert print in own
    assert pollers() == before + 1


def test_it_rests_between_connections_that_end_soon(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr("jobs.worker.consumer.time", clock)
    monkeypatch.setattr(StockConsumer, "on_connection_error_after_connected", lambda self, error: self.connection.close())
    rests = []
    for lasted in [60.0, *[0.1] * 7, 60.0]:
        consumer.connection = consumer.connect()
        now[0] = lost = now[0] + lasted
        consumer.on_connection_error_after_connected(ConnectionError())
        rests.append(now[0] - lost)
    assert rests == [0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0, 0.0]
