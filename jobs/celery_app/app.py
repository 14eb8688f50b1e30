"""The Celery class: `from jobs import Celery` instead of `from celery import Celery`."""

import inspect
import sys
from contextlib import nullcontext
from typing import Any

import celery
import django
from celery.app.utils import find_app
from django.apps import apps
from django.conf import settings
from kombu.utils.objects import cached_property

from jobs.celery_app import beat  # noqa: F401 - its receiver is for the programs that have an app
from jobs.domain import priority
from jobs.store import broker

STEPS = ("jobs.worker.bootsteps:Engine", "jobs.worker.leader_child:LeaderChild")

# kombu waits 1 s in one BRPOP: a connection that is silent for longer than the engine's own may be is half open.
_COMMON = {
    "socket_keepalive": True, "health_check_interval": 10, "socket_timeout": broker.TIMEOUT_S, "socket_connect_timeout": broker.TIMEOUT_S,
}  # fmt: skip


class NoApp(LookupError):
    """No Celery app of this project was found; the message says how to name it."""


def _transport_options() -> dict[str, Any]:
    from jobs.conf import configuration

    return {
        "global_keyprefix": configuration().key_prefix,
        "ack_emulation": False,  # what Redis would have to remember, PostgreSQL does
        "priority_steps": list(priority.LANES),
        "sep": priority.SEPARATOR,
    }


def _set_up() -> None:
    if not apps.ready and not apps.loading:
        django.setup()


# What a project's own settings change. What `add_defaults` is given goes before them.
_CHANGEABLE = {"worker_prefetch_multiplier": 1}


def _defaults() -> dict[str, Any]:
    return {
        "broker_connection_retry_on_startup": True,
        "broker_channel_error_retry": True,  # a Redis that is full refuses commands for a while; that ends no worker
        "worker_consumer": "jobs.worker.consumer:Consumer",
        "result_backend": "rows://",
        "result_backend_thread_safe": True,
        "accept_content": ["json"],
    }


class Celery(celery.Celery):
    """Celery with a PostgreSQL row behind every task."""

    amqp_cls = "jobs.celery_app.amqp:AMQP"
    task_cls = "jobs.celery_app.task:JobTask"
    control_cls = "jobs.celery_app.control:Control"
    events_cls = "jobs.celery_app.events:Events"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_defaults(self._own_defaults)
        self.steps["worker"].update(STEPS)

    def _own_defaults(self) -> dict[str, Any]:
        self._conf.maps.insert(-1, dict(_CHANGEABLE))  # the last of them has Celery's
        return _defaults()

    @cached_property
    def amqp(self) -> Any:
        """Celery's message factory, with rows. Commands like `celery call` have not set Django up yet."""
        _set_up()
        return super().amqp

    @cached_property
    def control(self) -> Any:
        """Celery's remote control."""
        _set_up()
        return super().control

    def _get_backend(self) -> Any:
        _set_up()
        from jobs.celery_app.backend import Backend

        return Backend(app=self, url="rows://")

    def producer_or_acquire(self, producer: Any = None) -> Any:
        """For Celery's own code a batch of messages that are accepted together, for all other one that sends each at once; the given
        producer when there is one.
        """
        from jobs.celery_app.sending import Batch

        gathers = sys._getframe(1).f_globals.get("__name__", "").startswith("celery.")  # Celery leaves it soon, others perhaps never
        if producer is None or (gathers and isinstance(producer, Batch) and not producer.gathers):
            return Batch(self, gathers)
        return nullcontext(producer)

    default_producer = producer_or_acquire

    def _task_from_fun(self, fun: Any, name: Any = None, base: Any = None, *args: Any, **options: Any) -> Any:
        """As Celery does, on a base that claims its run first, whatever base the caller has chosen."""
        from jobs.celery_app.task import claiming

        return super()._task_from_fun(fun, name, claiming(base or self.Task), *args, **options)

    def register_task(self, task: Any, **options: Any) -> Any:
        """As Celery does, for a task of a class that claims its run first."""
        from jobs.celery_app.task import claiming

        task = task() if inspect.isclass(task) else task
        task.__class__ = claiming(type(task))  # type: ignore[arg-type]
        return super().register_task(task, **options)

    def _connection(self, url: Any, *args: Any, transport_options: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """A project's own broker_transport_options stay, but for what the lanes need."""
        own = _COMMON | self.conf.broker_transport_options | (transport_options or {})
        return super()._connection(url, *args, transport_options=own | _transport_options(), **kwargs)


def address(app: celery.Celery) -> str | None:
    """Where another process finds this app (`module:attribute`), None when no module that can be imported holds it.

    Celery's own modules hold it too, as the default app of this process.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("__main__", "celery") or getattr(module, "__spec__", None) is None:
            continue
        for attribute, value in list(vars(module).items()):
            if value is app:
                return f"{name}:{attribute}"
    return None


def option(app: celery.Celery) -> str:
    """What stands after `celery -A` for this app: the project's package where Celery looks there anyway."""
    found, package = address(app) or "PROJECT", str(settings.SETTINGS_MODULE).partition(".")[0]
    return package if found.partition(":")[0] in (package, f"{package}.celery") else found


def find(name: str = "") -> Celery:
    """The project's app: the named one (as `celery -A`), the one that the settings import, or that of their package. Raises NoApp."""
    found: Any = celery.current_app._get_current_object()
    if name or not isinstance(found, Celery):
        name = name or str(settings.SETTINGS_MODULE).partition(".")[0]
        try:
            found = find_app(name)
        except (ImportError, AttributeError) as error:
            raise NoApp(f"no Celery app in {name!r} ({error}); name it with --app, as with celery -A") from error
    if not isinstance(found, Celery):
        raise NoApp(f"the Celery app of {name or 'this project'} is not one of `from jobs import Celery`")
    found.set_current()
    found.set_default()
    return found
