"""What the tests of a project do to its tasks: they call them directly and eagerly, where nothing may cost a query."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app

from jobs import Celery
from jobs.models import StoredResult


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
