"""The Celery class: `from jobs import Celery` instead of `from celery import Celery`."""

from typing import Any

import celery

from jobs.domain import priority

STEPS = ("jobs.worker.bootsteps:Engine", "jobs.worker.bootsteps:LeaderChild")


def _defaults() -> dict[str, Any]:
    from jobs.conf import configuration

    return {
        "broker_transport_options": {
            "global_keyprefix": configuration().key_prefix,
            "ack_emulation": False,  # what Redis would have to remember, PostgreSQL does
            "priority_steps": list(priority.LANES),
            "queue_order_strategy": "priority",
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "broker_connection_retry_on_startup": True,
        "worker_prefetch_multiplier": 1,
        "worker_consumer": "jobs.worker.consumer:Consumer",
        "result_backend_thread_safe": True,
        "accept_content": ["json"],
    }


class Celery(celery.Celery):
    """Celery with a PostgreSQL row behind every task."""

    amqp_cls = "jobs.celery_app.amqp:AMQP"
    task_cls = "jobs.celery_app.task:JobTask"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_defaults(_defaults)
        self.steps["worker"].update(STEPS)

    def _get_backend(self) -> Any:
        from jobs.celery_app.backend import Backend

        return Backend(app=self, url="rows://")
