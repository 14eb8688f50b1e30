"""Calls that name an exchange go where its bindings lead."""

from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.common import Broadcast

from jobs import Celery
from jobs.destinations import queue_of

MAIL = Exchange("mail", type="topic")


@pytest.fixture(scope="module")
def app() -> Any:
    made = Celery("routed", set_as_current=False)
    made.conf.task_queues = [
        Queue("celery", Exchange("celery"), routing_key="celery"),
        Queue("videos", Exchange("media"), routing_key="media.video"),
        Queue("all", MAIL, routing_key="mail.#"),
        Queue("words", MAIL, routing_key="mail.*.read"),
        Queue("fan", Exchange("fan", type="fanout"), routing_key=""),
        Broadcast("everyone"),
    ]
    return made


@pytest.mark.parametrize(
    ("queue", "exchange", "routing_key", "expected"),
    [
        (None, None, None, "celery"),
        ("videos", None, None, "videos"),
        ("videos", None, "anything", "videos"),
        ("another", None, None, "another"),
        (None, "media", "media.video", "videos"),
        ("celery", "media", "media.video", "videos"),
        ("celery", Exchange("media"), "media.video", "videos"),
        ("celery", "media", "media.unknown", "celery"),
        (None, "mail", "mail.x.y", "all"),
        ("words", "mail", "mail.one.read", "words"),
        ("celery", "mail", "mail.one.read", "all"),
        ("words", None, "mail.one.two", "all"),
        (None, "fan", "whatever", "fan"),
        (None, "", "celery", "celery"),
    ],
)
def test_the_queue_of_a_call(app: Any, queue: Any, exchange: Any, routing_key: Any, expected: str) -> None:
    assert queue_of(app, queue, exchange, routing_key) == expected
    assert queue_of(app, app.amqp.queues.get(queue) if queue in app.amqp.queues else queue, exchange, routing_key) == expected


def test_a_broadcast_is_refused(app: Any) -> None:
    with pytest.raises(ValueError, match="is a broadcast to every worker"):
        queue_of(app, "everyone", None, None)
