"""A task may be looked at while Django still loads: in a models.py, an apps.py, a settings file."""

import os
import subprocess
import sys
from pathlib import Path

EARLY = """
import task_queue_project
from celery import current_app, shared_task

@shared_task(name="early")
def early(x):
    return x + 1

assert (early.name, early(1), early.s(1).task) == ("early", 2, "early")
import django
django.setup()
from jobs import registry
print(*registry.job_types())
"""


def test_tasks_that_are_used_before_the_models_are_loaded_stay() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", EARLY], cwd=root, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {"early", "jobs.tasks.fail", "jobs.tasks.http_request", "jobs.tasks.sleep"} <= set(done.stdout.split())


def test_the_engine_is_imported_before_there_are_settings() -> None:
    """A project's settings import its Celery app, and that these modules."""
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    program = "import jobs.celery_app.app, jobs.worker.consumer, jobs.leader.rescue"
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
