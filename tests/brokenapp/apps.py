"""Breaks one rule when the apps are ready; used in a worker of its own, never in the tests' process."""

import os

from django.apps import AppConfig

from jobs.domain import priority, retry


class BrokenConfig(AppConfig):
    """Replaces the function that keeps the rule."""

    name = "tests.brokenapp"

    def ready(self) -> None:
        match os.environ.get("BREAK"):
            case "priorities":
                priority.lane_of = lambda value: value  # type: ignore[assignment]
            case "one lane":  # a plain queue: first come, first served
                priority.lane_of = lambda value: 4
                from jobs.leader.dispatch import Leader

                pick = Leader.due
                Leader.due = lambda self, rooms: sorted(pick(self, rooms), key=lambda row: row[2])  # type: ignore[method-assign]
            case "delays":
                retry.delay = lambda *args, **options: 0.3
            case "patience":  # nothing breaks, but a test need not take a minute
                from jobs.worker import consumer, fetching

                consumer.UNKNOWN_FOR = 4.0
                fetching.NEIGHBOURS_S, fetching.ALONE_S = 1.0, 2.0
            case "loop":
                from jobs.worker import consumer

                def fail(*args: object, **options: object) -> None:
                    raise AssertionError("the loop is broken")

                consumer.fetch_loop = fail
            case "burying":
                from jobs.store import transitions  # it imports models

                transitions.enter = lambda *args: True
