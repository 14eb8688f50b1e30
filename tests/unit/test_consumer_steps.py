"""Each of the consumer's steps is there once, ours in the place of Celery's, whatever a project's own steps require."""

from typing import Any

import pytest
from celery import bootsteps
from celery.worker.consumer import Consumer as StockConsumer
from celery.worker.consumer.delayed_delivery import DelayedDelivery
from kombu.utils.imports import symbol_by_name

from jobs.worker.consumer import OURS, Consumer

STOCK = {symbol_by_name(f"celery.worker.consumer.{name.lower()}:{name}"): symbol_by_name(ours) for name, ours in OURS.items()}


def order(consumer: Any, *steps: Any) -> list[Any]:
    """As a worker of this consumer starts them."""
    blueprint = consumer.Blueprint(steps=steps)
    blueprint.steps = blueprint.claim_steps()
    ordered: list[Any] = blueprint._finalize_steps(blueprint.steps)
    assert {step.name for step in ordered} == set(blueprint.steps)
    return ordered


def after(required: Any) -> Any:
    """A project's step."""
    return type("After", (bootsteps.StartStopStep,), {"requires": (required,)})


@pytest.mark.parametrize("name", ["", *OURS])
def test_a_step_that_requires_one_of_celery_s_comes_behind_ours_in_its_place(name: str) -> None:
    steps = [after(f"celery.worker.consumer.{name.lower()}:{name}")] if name else []
    ordered = order(Consumer, *steps)
    assert len(ordered) == len(Consumer.Blueprint.default_steps) + len(steps)
    assert not STOCK.keys() & set(ordered)
    for step in steps:
        assert ordered.index(symbol_by_name(OURS[name])) < ordered.index(step)
    assert ordered.index(symbol_by_name(OURS["Tasks"])) < ordered.index(DelayedDelivery)
    assert ordered[-1].last


def test_what_one_step_s_class_requires_is_what_a_worker_of_a_stock_app_in_this_process_starts() -> None:
    step = after("celery.worker.consumer.tasks:Tasks")
    order(Consumer, step)
    ordered = order(StockConsumer, step)
    assert STOCK.keys() < set(ordered)
    assert not set(STOCK.values()) & set(ordered)
