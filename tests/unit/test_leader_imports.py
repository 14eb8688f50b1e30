"""What the leader keeps in memory."""

import os
import subprocess
import sys
from pathlib import Path

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


def test_a_message_brings_no_page_into_the_leader() -> None:
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "task_queue_project.settings"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["True", "[]"], done.stderr
