"""The run as a Django app of the workers: its tasks, and one rule broken where the environment says so."""

import os

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    """Loads the tasks; CHAOS_BREAK names the rule that is switched off to see the verdict turn red."""

    name = "tests.chaos"
    label = "chaos"

    def ready(self) -> None:
        if rule := os.environ.get("CHAOS_BREAK"):
            from tests.chaos import broken

            getattr(broken, rule)()
