"""Where the leader beside a worker finds the app: also in a project whose settings do not import it."""

import sys
from types import ModuleType
from typing import Any

import celery._state
import pytest

from jobs import Celery
from jobs.celery_app.app import address, option


def test_the_app_is_found_where_the_project_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's own modules hold it too, but in another process they hold another one."""
    app: Any = Celery("somewhere", set_as_current=False)
    monkeypatch.setattr(celery._state, "default_app", app)
    assert address(app) is None
    module = ModuleType("some_project")
    module.__spec__ = object()  # type: ignore[assignment]
    module.worker = app
    monkeypatch.setitem(sys.modules, "some_project", module)
    assert address(app) == option(app) == "some_project:worker"


def test_the_package_of_the_settings_is_enough_for_celery() -> None:
    from task_queue_project.celery import app

    assert option(app) == "task_queue_project"
