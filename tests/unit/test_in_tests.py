"""What the tests of a project do to its tasks: they call them directly and eagerly, where nothing may cost a query."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from celery import current_app

from jobs import Celery
from jobs.models import Job, StoredResult


@pytest.fixture
def told() -> Iterator[Any]:
    """A task that says how far it is."""

    def body(self: Any, times: int, task_id: str | None = None) -> int:
        for time in range(times):
            self.update_state(task_id=task_id, state="PROGRESS", meta={"time": time})
        return times

    name = f"{__name__}.told"
    yield current_app.task(bind=True, name=name, lazy=False, shared=False)(body)
    del current_app.tasks[name]


def test_progress_of_direct_and_eager_calls_is_no_query(told: Any) -> None:
    """Here, without the mark of a test that uses the database, each would fail; so it would in a broken transaction."""
    assert told(3) == 3
    assert told.apply((3,)).get() == 3
    assert told.apply((3, "eager"), task_id="eager").get() == 3


@pytest.mark.django_db
def test_progress_of_an_eager_call_is_kept_where_its_result_is(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "store_eager_result", True)
    told.apply((2,), task_id="eager")
    assert StoredResult.objects.get(task_id="eager").state == "SUCCESS"
    monkeypatch.undo()
    told.apply((2, "of another"))
    assert StoredResult.objects.get(task_id="of another").state == "PROGRESS"


@pytest.mark.parametrize(
    ("given", "configured"),
    [({"backend": "redis://localhost:1/0"}, {}), ({}, {"result_backend": "redis://localhost:1/0"}), ({}, {"CELERY_RESULT_BACKEND": "rpc"})],
)
def test_progress_of_a_direct_call_needs_an_id_where_the_project_has_a_backend(given: dict[str, str], configured: dict[str, str]) -> None:
    app = Celery("other", set_as_current=False, **given)
    app.config_from_object(SimpleNamespace(**configured), namespace="CELERY" if "CELERY_RESULT_BACKEND" in configured else None)

    def body() -> None:
        pass

    with pytest.raises(ValueError, match=r"^task_id must not be empty\. Got None instead\.$"):
        app.task(name="told", lazy=False, shared=False)(body).update_state(state="PROGRESS")
    app.close()


@pytest.mark.parametrize("where", ["celery.app.task.Task.apply_async", "celery.Task.apply_async"])
def test_a_mock_of_celery_s_own_call_sees_what_was_given(told: Any, where: str) -> None:
    for call, seen in (
        (lambda: told.delay(1, task_id="x"), mock.call((1,), {"task_id": "x"})),
        (lambda: told.apply_async((1,)), mock.call((1,))),
        (lambda: told.apply_async(args=(1,), countdown=3), mock.call(args=(1,), countdown=3)),
        (lambda: told.apply_async(None, {"times": 1}, "id"), mock.call(None, {"times": 1}, "id")),
        (lambda: told.s(1).set(priority=3).delay(), mock.call((1,), {}, priority=3)),
    ):
        with mock.patch(where) as patched:
            assert call() is patched.return_value
            assert patched.mock_calls == [seen]
    with mock.patch(where, autospec=True) as patched:
        told.delay(1)
        patched.assert_called_once_with(told, args=(1,), kwargs={})


def test_a_mock_of_the_call_of_a_task_knows_its_arguments_by_name(told: Any) -> None:
    with mock.patch.object(told, "apply_async", autospec=True) as patched:
        told.delay(1)
        patched.assert_called_once_with(args=(1,), kwargs={})


@pytest.mark.django_db
def test_the_arguments_of_a_call_may_be_named(told: Any) -> None:
    calls = (
        lambda: told.apply_async(args=(1,), kwargs={"task_id": "a"}), lambda: told.apply_async((1,), kwargs={"task_id": "a"}, priority=3),
        lambda: told.apply_async(priority=3, args=(1,), kwargs={"task_id": "a"}),
    )  # fmt: skip
    rows = [Job.objects.get(task_id=call().id) for call in calls]
    assert [(row.args, row.kwargs) for row in rows] == [([1], {"task_id": "a"})] * 3
    for twice in ({"args": (2,)}, {"args": (2,), "priority": 3}):
        with pytest.raises(TypeError, match="multiple values for argument 'args'"):
            told.apply_async((1,), **twice)
