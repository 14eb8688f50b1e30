"""What Celery's pool is handed of a message: its text, or in a worker with greenlets what was read of it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import celery.worker.request
import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import current_app
from celery.exceptions import InvalidTaskError
from celery.worker.state import revoked
from kombu import Connection
from kombu.message import Message

from jobs.celery_app import process_engine
from jobs.celery_app.request import Request, joined

BODY = '[[[1]], {}, {"callbacks": null}]'


@pytest.fixture(params=[True, False])
def green(request: pytest.FixtureRequest) -> Any:
    """Whether tasks run in this process."""
    process_engine.use(SimpleNamespace(green=request.param))
    yield request.param
    process_engine.use(None)


def made(body: str = BODY, kind: Any = Request, **more: Any) -> Any:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    channel = Connection("memory://").channel()
    headers = {"id": "x", "task": "t.same"} | more
    message = Message(body, channel=channel, headers=headers, content_type="application/json", content_encoding="utf-8")
    return kind(message, app=current_app._get_current_object(), hostname="h")


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


@pytest.mark.parametrize(
    "headers",
    [
        {"shadow": ["x"]}, {"shadow": {"a": 1}}, {"shadow": 1}, {"timelimit": [1, 2, 3]}, {"timelimit": 5}, {"timelimit": ["a", None]},
        {"expires": ""}, {"expires": 5}, {"eta": []}, {"stamped_headers": 1}, {"stamped_headers": [[]]},
        {"stamped_headers": ["a"], "stamps": [1]},
    ],
)  # fmt: skip
def test_headers_that_celery_stumbles_over_are_refused(green: bool, headers: dict[str, Any]) -> None:
    """Anybody may have inserted them; any other error would end the worker, or the greenlet of the job, again and again."""
    with pytest.raises(InvalidTaskError):
        made(**headers)
    assert made(shadow="seen", timelimit=[None, 2.5], expires="2099-01-01T00:00:00", stamped_headers=["a"], stamps={"a": 1}).name == "seen"


class Eventer:
    """Celery's dispatcher of events, as far as a request knows it."""

    def __init__(self, groups: set[str], *, enabled: bool = True) -> None:
        self.groups, self.enabled = groups, enabled
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, kind: str, **fields: Any) -> None:
        self.sent.append((kind, fields))


@pytest.mark.parametrize(("groups", "told"), [({"worker"}, False), ({"worker", "task"}, True), (set(), True)])
def test_events_of_tasks_are_sent_once_they_are_on(groups: set[str], told: bool) -> None:
    request = made()
    request._eventer = Eventer(groups)
    request.send_event("task-started", more=1)
    assert request._eventer.sent == ([("task-started", {"uuid": "x", "more": 1})] if told else [])
    request._eventer.groups.add("task")  # `celery control enable_events`
    request.send_event("task-succeeded")
    assert request._eventer.sent[-1] == ("task-succeeded", {"uuid": "x"})


def test_events_tell_no_secrets() -> None:
    request = made()
    request._eventer = Eventer(set())
    request.send_event("task-failed", exception="Refused('password=HUNTER2')", traceback="login(token=b'HUNTER2')\nRefused", runtime=1.5)
    request.send_event("task-succeeded", result="{'token': 'HUNTER2', 'n': 1}", runtime=None)
    assert [fields for _, fields in request._eventer.sent] == [
        {"uuid": "x", "exception": "Refused('password=***')", "traceback": "login(token=***)\nRefused", "runtime": 1.5},
        {"uuid": "x", "result": "{'token': ***, 'n': 1}", "runtime": None},
    ]


def test_who_inspects_a_worker_sees_arguments_without_secrets(green: bool) -> None:
    request = made('[["sara", "HUNTER2"], {"token": "HUNTER2", "to": {"n": 1}}, {"callbacks": null}]', task="t.login", argsrepr="('a',)")
    found = request.info()
    assert (found["args"], found["kwargs"]) == (["sara", "***"], {"token": "***", "to": {"n": 1}})
    assert request.args == ["sara", "HUNTER2"], "the task gets them"
    assert request.info(safe=True)["args"] == "('a',)"


class Own(celery.worker.request.Request):
    """As Celery's documentation has it."""

    def info(self, safe: bool = False) -> dict[str, Any]:
        return super().info(safe=safe) | {"own": True}


def named_task(token: str) -> None:
    """A task."""


@pytest.mark.parametrize("named", [Own, f"{__name__}:Own"])
def test_a_request_of_the_tasks_own_shows_no_secrets_either(named: Any, green: bool) -> None:
    app = current_app._get_current_object()
    task = app._task_from_fun(named_task, name=f"t.own {named} {green}", base=celery.Task, Request=named)
    app.tasks.pop(task.name)
    task.start_strategy(app, MagicMock())
    found = made('[[], {"token": "HUNTER2"}, {}]', task.Request, task="t.login").info()
    assert (found["own"], found["kwargs"]) == (True, {"token": "***"})
    assert joined(celery.worker.request.Request) is joined(Request) is Request


@pytest.mark.parametrize(("error", "told"), [(TimeLimitExceeded(3.0), True), (TimeLimitExceeded(9.0), False), (ValueError(3.0), False)])
def test_a_request_hears_of_its_hard_limit_also_where_the_run_keeps_it_itself(error: Exception, told: bool, green: bool) -> None:
    heard: list[Any] = []
    request = made(
        kind=type("Own", (Request,), {"on_timeout": lambda self, soft, timeout: heard.append((soft, timeout))}), timelimit=[3.0, None]
    )
    request.on_failure(SimpleNamespace(exception=error, traceback=""), return_ok=True)
    assert heard == ([(False, 3.0)] if told and green else [])


def test_a_message_is_acknowledged_once(green: bool) -> None:
    asked: list[Any] = []
    request = made()
    request._on_ack = lambda *args: asked.append(args)
    request.acknowledge()
    request.acknowledge()
    assert request.acknowledged
    assert len(asked) == (0 if green else 1)


@pytest.mark.parametrize(("skew", "left", "expired"), [(0.0, 60, False), (0.0, -60, True), (600.0, -60, False), (-600.0, 60, True)])
def test_a_job_expires_by_the_clock_of_the_database_and_is_shown_when(skew: float, left: float, expired: bool) -> None:
    """`skew`: seconds that this host is ahead."""
    expires = datetime.now(UTC) + timedelta(seconds=left)
    process_engine.use(SimpleNamespace(green=True, registration=SimpleNamespace(skew=skew)))  # type: ignore[arg-type]
    try:
        request = made(expires=expires.isoformat())
        assert (request.maybe_expire(), request.expires) == (expired, expires)
        assert not made().maybe_expire()
    finally:
        process_engine.use(None)
        revoked.discard("x")
