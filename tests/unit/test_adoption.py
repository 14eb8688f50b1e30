"""What lets another project's Celery settings stay as they are."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from celery import Celery as StockCelery
from celery import Task, current_app
from celery.backends.base import DisabledBackend

import task_queue_project.celery
from jobs import Celery, JobTask
from jobs.celery_app import app as module
from jobs.celery_app.task import _First


@pytest.fixture
def other() -> Iterator[Celery]:
    """Another app, which does not become the current one."""
    app = Celery("other", broker="redis://localhost:1/0", set_as_current=False)
    yield app
    app.close()


@pytest.mark.parametrize("given", [None, 3])
def test_how_much_is_fetched_ahead_is_the_projects(other: Celery, given: int | None) -> None:
    other.config_from_object({"CELERY_WORKER_PREFETCH_MULTIPLIER": given} if given else {}, namespace="CELERY")
    assert (other.conf.worker_prefetch_multiplier, other.conf.result_backend) == (given or 1, "rows://")


def test_transport_options_of_a_project_stay(other: Celery) -> None:
    other.conf.broker_transport_options = {"socket_timeout": 3, "health_check_interval": 99, "priority_steps": [0], "global_keyprefix": "x"}
    options = other.connection().transport_options
    assert (options["socket_timeout"], options["health_check_interval"], options["socket_keepalive"]) == (3, 99, True)
    assert (options["priority_steps"], options["global_keyprefix"], options["ack_emulation"]) == (list(range(10)), "jobs:", False)


def test_another_result_backend_is_not_used(other: Celery) -> None:
    other.conf.result_backend = "redis://localhost:1/0"
    assert type(other.backend).__module__ == "jobs.celery_app.backend"


def test_a_base_class_of_one_s_own_claims_first(other: Celery) -> None:
    class Own(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.run(*args, **kwargs)

    def one() -> int:
        return 1

    task = other.task(base=Own, name="own", lazy=False, shared=False)(one)
    assert isinstance(task, JobTask)
    assert isinstance(task, Own)
    places = [next(at for at, each in enumerate(type(task).__mro__) if each is wanted) for wanted in (_First, Own, JobTask)]
    assert places == sorted(places)
    assert task() == 1


class WithProperty(Task):
    """As Celery's guide allows."""

    @property
    def backend(self) -> Any:
        return DisabledBackend(self.app)


class Fixed(JobTask):
    """With a backend for all of its kind."""

    name = "fixed"
    backend: Any = DisabledBackend(current_app)

    def run(self) -> None:
        pass


def test_a_task_s_own_backend_is_not_used(other: Celery) -> None:
    """The end of a run is written where the row is, or the job would be buried after its success."""
    own = DisabledBackend(other)

    def body() -> None:
        pass

    other.conf.task_annotations = {"annotated": {"backend": own}}
    tasks = [
        other.task(backend=own, name="option", lazy=False, shared=False)(body),
        other.task(base=WithProperty, name="base", lazy=False, shared=False)(body),
        other.task(base=Fixed, name="of its kind", lazy=False, shared=False)(body),
        other.task(name="annotated", lazy=False, shared=False)(body),
        other.register_task(Fixed()),
        other.task(name="assigned", lazy=False, shared=False)(body),
    ]
    tasks[-1].backend = own
    assert [task.backend for task in tasks] == [other.backend] * len(tasks)
    assert type(tasks[0].AsyncResult("1").backend) is type(other.backend)


def test_the_app_s_address_leads_to_it() -> None:
    ours = current_app._get_current_object()
    address = module.address(ours)
    assert address is not None
    assert module.find(address) is ours
    assert module.find("task_queue_project") is ours
    assert module.find() is ours
    assert module.address(Celery("nowhere", set_as_current=False)) is None


def test_an_app_that_is_missing_or_not_ours_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(module.NoApp, match="no_such_module"):
        module.find("no_such_module")
    stock = ModuleType("stock_project")
    stock.app = StockCelery("stock", set_as_current=False)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stock_project", stock)
    with pytest.raises(module.NoApp, match="from jobs import Celery"):
        module.find("stock_project")
    assert current_app._get_current_object() is task_queue_project.celery.app
