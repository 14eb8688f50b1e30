"""Consumers of a project's own (`app.steps["consumer"]`, ConsumerStep) where there are greenlets: the fetch loop reads tasks only."""

import logging
from typing import Any

from celery import bootsteps
from celery.bootsteps import ConsumerStep

logger = logging.getLogger("jobs.worker")
PAUSE_S = 0.5


def start(consumer: Any, connection: Any, task_channel: Any, blueprint: Any) -> None:
    """Deliver their messages beside the loop, if the project has such steps."""
    kinds = tuple(step for step in consumer.app.steps["consumer"] if isinstance(step, type) and issubclass(step, ConsumerStep))
    steps = [step for step in consumer.steps if isinstance(step, kinds)]
    if steps:
        import gevent

        task_channel.connection.cycle.discard(task_channel)  # its messages are popped by the loop, as many as there are free slots
        gevent.spawn(_deliver, consumer, connection, steps, blueprint)


def _deliver(consumer: Any, connection: Any, steps: list[Any], blueprint: Any) -> None:
    errors = (*consumer.connection_errors, *consumer.channel_errors)
    while blueprint.state == bootsteps.RUN and consumer.connection is connection:
        try:
            connection.drain_events(timeout=1.0)
        except TimeoutError:
            pass
        except errors as error:
            logger.info("consumers of the project's own: %s", error)
            _renew(consumer, steps, blueprint, errors)
        except Exception:  # a callback of the project's; the next message is another one
            logger.exception("a consumer of the project's own has failed")


def _renew(consumer: Any, steps: list[Any], blueprint: Any, errors: tuple[type[BaseException], ...]) -> None:
    """Their channels anew, once Redis is back."""
    import gevent

    while blueprint.state == bootsteps.RUN:
        gevent.sleep(PAUSE_S)
        try:
            for step in steps:
                step.stop(consumer)
                step.start(consumer)
        except errors:
            continue
        return
