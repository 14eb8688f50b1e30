"""Connections to Redis through kombu, of which a worker makes a new one at every try while Redis is away."""

import gc
import weakref

from celery import current_app


def test_a_channel_is_let_go_with_its_connection() -> None:
    connection = current_app.connection_for_write()
    channel = weakref.ref(connection.default_channel)
    assert channel() is not None
    connection.release()
    del connection
    gc.collect()
    assert channel() is None
