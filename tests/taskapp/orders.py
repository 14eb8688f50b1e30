"""A consumer of a project's own, for the workers that are asked to have it."""

from typing import Any

from celery import bootsteps, current_app
from kombu import Consumer, Exchange, Queue

ORDERS = Queue("orders", Exchange("orders", type="direct"), routing_key="orders")


class Orders(bootsteps.ConsumerStep):
    """Makes a job of each message that another program leaves in a queue of its own."""

    def get_consumers(self, channel: Any) -> list[Any]:
        return [Consumer(channel, queues=[ORDERS], callbacks=[self.taken], accept=["json"])]

    def taken(self, body: Any, message: Any) -> None:
        if body["order"] == "bad":
            message.ack()
            raise ValueError("an order that cannot be read")
        current_app.tasks["t.same"].apply_async((body["order"],), task_id=f"order {body['order']}")
        message.ack()
