"""Consumers of a project's own (`app.steps["consumer"]`, ConsumerStep) where there are greenlets: the fetch loop reads tasks only."""

import logging
import traceback
from contextlib import suppress
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
        except Exception as error:
            if _is_of_a_message(error):  # a callback of the project's; the next message is another one
                logger.exception("a consumer of the project's own has failed")
                continue
            logger.info("consumers of the project's own: kombu has lost a connection (%r)", error)
            _renew(consumer, steps, blueprint, errors)


def _is_of_a_message(error: Exception) -> bool:
    """Whether it comes from the delivery of a message. Else from kombu itself: a lost connection's descriptor, which a new connection
    has taken over, still leads to the old channel then, and would again and again.
    """
    return any(frame.f_globals.get("__name__") == "kombu.messaging" for frame, _ in traceback.walk_tb(error.__traceback__))


def _renew(consumer: Any, steps: list[Any], blueprint: Any, errors: tuple[type[BaseException], ...]) -> None:
    """Their channels anew, once Redis is back."""
    import gevent

    while blueprint.state == bootsteps.RUN:
        gevent.sleep(PAUSE_S)
        try:
            for step in steps:
                step.stop(consumer)
                step.start(consumer)
            _forget_lost(consumer.connection.transport.cycle)
        except errors:
            continue
        return


def _forget_lost(cycle: Any) -> None:
    """Look no longer at descriptors of channels that have lost their connection; they are looked at anew with their next one."""
    for descriptor, (channel, kind) in list(cycle._fd_to_chan.items()):
        client = channel.client if kind == "BRPOP" else channel.subclient
        if client.connection is None:
            with suppress(KeyError, ValueError, OSError):
                cycle.poller.unregister(descriptor)
            del cycle._fd_to_chan[descriptor]
            cycle._chan_to_sock.pop((channel, client, kind), None)
