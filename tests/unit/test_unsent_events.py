"""Events that Redis does not take: a worker keeps the last ones, not all that there were."""

from types import SimpleNamespace
from typing import Any

from celery import current_app
from redis.exceptions import NoPermissionError


def refuse(*_: Any, **__: Any) -> None:
    raise NoPermissionError("this user has no permissions to run the 'publish' command")


def test_only_the_last_events_wait_until_redis_takes_them() -> None:
    dispatcher = current_app.events.Dispatcher(enabled=False)
    dispatcher.enabled, dispatcher.producer = True, SimpleNamespace(publish=refuse)
    for number in range(3000):
        dispatcher.send("task-received", number=number)
    sent: list[int] = []
    dispatcher.producer = SimpleNamespace(publish=lambda event, **_: sent.append(event["number"]))
    dispatcher.flush()
    assert sent == list(range(2000, 3000))
    assert not dispatcher._outbound_buffer
