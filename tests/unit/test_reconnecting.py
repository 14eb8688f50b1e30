"""A worker that loses Redis again and again keeps nothing of the connections that it had."""

import gc
from typing import Any

from celery import current_app
from kombu.asynchronous import Hub
from kombu.transport.redis import MultiChannelPoller

from jobs.worker.consumer import Consumer


def pollers() -> int:
    gc.collect()
    return sum(isinstance(found, MultiChannelPoller) for found in gc.get_objects())


def test_celery_s_loop_asks_the_connection_of_now_alone() -> None:
    consumer: Any = Consumer.__new__(Consumer)
    consumer.app, consumer.hub, consumer.amqheartbeat = current_app._get_current_object(), Hub(), None
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
    consumer.hub.close()
