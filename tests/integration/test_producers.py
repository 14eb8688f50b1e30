"""What callers see of the sending: a producer of their own accepts each call at once, and receivers are shown Celery's message."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from celery import chain, chord, current_app, group, signals
from celery.exceptions import MaxRetriesExceededError

from jobs.models import Job
from tests.flows import s, task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


SENT: dict[str, tuple[Callable[[Any], Any], int]] = {
    "call": (lambda producer: task("same").apply_async((1,), producer=producer), 1),
    "signature": (lambda producer: s("same", 1).apply_async(producer=producer), 1),
    "group": (lambda producer: group(s("same", 1), s("same", 2)).apply_async(producer=producer), 2),
    "chain": (lambda producer: chain(s("same", 1), s("same")).apply_async(producer=producer), 1),
    "chord": (lambda producer: chord([s("same", 1), s("same", 2)], s("total")).apply_async(producer=producer), 2),
    "by name": (lambda producer: current_app.send_task("t.same", (1,), producer=producer), 1),
    "passed on": (lambda producer: _passed_on(producer), 1),
}


def _passed_on(producer: Any) -> Any:
    with current_app.producer_or_acquire(producer) as same:
        return task("same").apply_async((1,), producer=same)


@pytest.mark.parametrize("shape", SENT)
def test_a_call_through_the_callers_producer_is_accepted_at_once(shape: str) -> None:
    send, rows = SENT[shape]
    with current_app.producer_or_acquire() as producer:
        send(producer)
        assert Job.objects.count() == rows
    assert Job.objects.count() == rows
    send(current_app.producer_or_acquire().__enter__())  # never left
    assert Job.objects.count() == 2 * rows


def test_a_call_through_the_callers_producer_outlives_an_error_of_the_caller() -> None:
    with suppress(KeyError), current_app.producer_or_acquire() as producer:
        result = task("same").apply_async((1,), producer=producer)
        raise KeyError("a later line")
    assert Job.objects.filter(task_id=result.id).count() == 1


def test_a_group_through_the_callers_producer_is_accepted_whole_or_not_at_all() -> None:
    with current_app.producer_or_acquire() as producer, pytest.raises(Exception, match=r"JSON|serializable|set"):
        group(s("same", 1), s("same", {1, 2}.__iter__()), s("same", 3)).apply_async(producer=producer)
    assert Job.objects.count() == 0


def test_receivers_are_shown_the_message_of_celery_and_the_task_the_callers_headers() -> None:
    shown: list[dict[str, Any]] = []

    def receive(headers: dict[str, Any], **_: Any) -> None:
        shown.append(headers)

    signals.after_task_publish.connect(receive)
    try:
        task("same").apply_async((1,), countdown=60, retries=2, headers={"own": 1, "stamped_headers": ["team"], "team": "a"})
    finally:
        signals.after_task_publish.disconnect(receive)
    assert {"job_eta", "retries_before", "headers"}.isdisjoint(shown[0])
    kept = Job.objects.get().options["headers"]
    assert kept["headers"] == {"own": 1, "team": "a"}
    assert (kept["stamped_headers"], kept["job_eta"], kept["retries_before"]) == (["team"], shown[0]["eta"], 2)


@pytest.mark.parametrize("replace", [lambda: mock.MagicMock(), lambda: lambda *args, **options: None])
def test_what_stands_in_the_place_of_the_sender_has_every_call(replace: Callable[[], Any]) -> None:
    """Also those after the first, which copy its row."""
    call = task("same").delay
    call(1)
    call(2)
    with mock.patch.object(current_app.amqp, "send_task_message", replace()):
        call(3)
    assert Job.objects.count() == 2
    call(4)
    assert Job.objects.count() == 3


def test_a_task_with_a_mock_for_its_request_retries_as_celery_s() -> None:
    """As a unit test calls its body; without one in a worker there is no outcome to write to."""
    retried = task("retry_later")
    with mock.patch("celery.app.task.Task.request") as request:
        request.configure_mock(retries=99, called_directly=False, is_eager=True, id="1", args=(), kwargs={})
        request.get.return_value = None
        with pytest.raises(MaxRetriesExceededError):
            retried.retry()
        assert retried.progress(0.5) is False
