"""What Celery's pool is handed of a message: its text, or in a worker with greenlets what was read of it."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from kombu import Connection
from kombu.message import Message

from jobs.celery_app import process_engine
from jobs.celery_app.request import Request

BODY = '[[[1]], {}, {"callbacks": null}]'


@pytest.fixture(params=[True, False])
def green(request: pytest.FixtureRequest) -> Any:
    """Whether tasks run in this process."""
    process_engine.use(SimpleNamespace(green=request.param))
    yield request.param
    process_engine.use(None)


def made() -> Any:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    channel = Connection("memory://").channel()
    headers = {"id": "x", "task": "t.same"}
    message = Message(BODY, channel=channel, headers=headers, content_type="application/json", content_encoding="utf-8")
    return Request(message, app=current_app._get_current_object(), hostname="h")


def test_a_body_is_read_once_where_the_task_runs_in_this_process(green: bool) -> None:
    request = made()
    if green:
        assert request.body == [[[1]], {}, {"callbacks": None}]
        assert request.content_type is None
        assert request.args is request.body[0]  # the same list: a retry sends what the task has made of it, as Celery's does
    else:
        assert request.body == BODY
        assert request.content_type == "application/json"
    assert request.args == [[1]]
