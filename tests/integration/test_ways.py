"""A job made here goes the way that `.delay()` would send it: the queue, priority and time limit of its task and of `task_routes`."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

from jobs import enqueue, enqueue_many
from jobs.enqueueing import InvalidJob
from jobs.models import Job

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning"),  # of a task's `queue`
]


OPTIONS: dict[str, dict[str, Any]] = {
    "ways.own": {"queue": "mail", "priority": 8, "max_retries": 0, "time_limit": 5.5},
    "ways.plain": {},
    "ways.limited": {"timeout": 7, "priority": 12},
}


def work(number: int = 0) -> None: ...


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    for name, options in OPTIONS.items():
        current_app.task(**options, name=name, shared=False)(work)
    yield
    for name in OPTIONS:
        current_app.tasks.pop(name)


def _by_number(name: str, args: Any, kwargs: Any, options: Any, task: Any = None) -> Any:
    return {"queue": "odd", "priority": 2} if name == "ways.plain" and kwargs.get("number") == 1 else None


def _forget_routes() -> None:
    """Celery reads task_routes once; another test of this process may have sent something before."""
    current_app.amqp.flush_routes()
    vars(current_app.amqp).pop("router", None)


@pytest.fixture
def _routes() -> Iterator[None]:
    current_app.conf.task_routes = (_by_number, {"ways.p*": {"queue": "slow"}, "ways.own": {"queue": "slow"}})
    _forget_routes()
    yield
    current_app.conf.task_routes = None
    _forget_routes()


def _way(job: Job) -> tuple[str, int, int | None]:
    return job.queue, job.priority, job.timeout


def _made(name: str, **kwargs: Any) -> list[tuple[str, int, int | None]]:
    """The ways of its jobs: sent by Celery's call, and made here in each way."""
    task = current_app.tasks[name]
    task.delay(**kwargs)
    enqueue(task, kwargs=kwargs)
    enqueue_many(task, [((), kwargs)])
    call_command("enqueue", name, kwargs=f'{{"number": {kwargs["number"]}}}' if kwargs else "{}")
    return [_way(job) for job in Job.objects.order_by("id")]


@pytest.mark.parametrize(("name", "queue", "priority", "timeout"), [("ways.own", "mail", 8, 6), ("ways.limited", "celery", 9, 7)])
def test_a_task_has_its_own_way(name: str, queue: str, priority: int, timeout: int) -> None:
    assert _made(name) == [(queue, priority, timeout)] * 4
    assert {job.max_retries for job in Job.objects.order_by("id")[1:]} == {3}  # who asks decides what is retried


def test_a_task_without_a_way_has_the_usual_one() -> None:
    assert _made("ways.plain") == [("celery", 5, None), *[("celery", 5, 3600)] * 3]


@pytest.mark.usefixtures("_routes")
def test_task_routes_hold_as_for_delay() -> None:
    assert [way[:2] for way in _made("ways.own")] == [("mail", 8)] * 4
    assert [way[:2] for way in _made("ways.plain")[4:]] == [("slow", 5)] * 4
    assert [way[:2] for way in _made("ways.plain", number=1)[8:]] == [("odd", 2)] * 4


@pytest.mark.usefixtures("_routes")
def test_who_names_a_way_gets_it(client: Client) -> None:
    assert _way(enqueue("ways.own", queue="here", priority=1, timeout=None)) == ("here", 1, None)
    with pytest.raises(InvalidJob, match="priority"):
        enqueue("ways.own", priority=None)
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    form = client.get("/jobs/create/?task=ways.own").context["form"]
    assert (form["queue"].value(), form["priority"].value()) == ("mail", 8)
    assert client.get("/jobs/create/?task=ways.plain").context["form"]["queue"].value() == "slow"
