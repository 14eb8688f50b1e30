"""What a process loads, and keeps in memory."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]
# Its loop is left out; what the first message needs is the name of a task's arguments, and so the task modules.
PROGRAM = """
import sys, django
django.setup()
from django.core.management import call_command
from jobs import registry
from jobs.leader import terms
terms.run = lambda stop: print("jobs.tasks.sleep" in registry.job_types())
call_command("dispatch")
print(sorted({"task_queue_project.urls", "pydantic", "requests", "gevent"} & set(sys.modules)))
"""
# A project without the admin: what its first call loads, but for the row itself.
SENDS = """
import sys, django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "jobs"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}},
)
django.setup()
from jobs import Celery, enqueueing
app = Celery("sends")
@app.task(name="sends.nothing")
def nothing():
    pass
assert app.tasks["sends.nothing"].apply_async and enqueueing.validate("sends.nothing").task
late = {"jobs.celery_app.running", "jobs.celery_app.settle", "jobs.store.transitions", "jobs.store.interventions"}
print(sorted(late & set(sys.modules)))
"""


def _printed(program: str) -> list[str]:
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "task_queue_project.settings"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_message_brings_no_page_into_the_leader() -> None:
    assert _printed(PROGRAM) == ["True", "[]"]


def test_a_process_that_sends_waits_for_no_code_of_a_run() -> None:
    assert _printed(SENDS) == ["[]"]


def test_a_worker_knows_the_task_of_a_derived_backend(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_backend.py").write_text("told = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.TASKS = {"default": {"BACKEND": "shop_backend.Backend"}, "gone": {"BACKEND": "nowhere.Backend"}, "none": {"BACKEND": ""}}
    apps.get_app_config("jobs").ready()
    assert sys.modules.pop("shop_backend", None)
    settings.TASKS = {"default": {"BACKEND": "jobs.integrations.gone.Backend"}}
    with pytest.raises(ImportError):
        apps.get_app_config("jobs").ready()
