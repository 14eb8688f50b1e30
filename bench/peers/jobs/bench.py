"""This project as a peer of the benchmark."""

import os
import sys
from pathlib import Path

import benchlib

ROOT = str(Path(__file__).resolve().parents[3])
sys.path.insert(0, ROOT)
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"


class Jobs(benchlib.Peer):
    def prepare(self):
        import compileall

        import django
        from django.core.management import call_command

        compileall.compile_dir(f"{ROOT}/jobs", quiet=1)  # pip does so for the other peers; the harness lets Python write none
        django.setup()
        call_command("migrate", verbosity=0)

    def open(self):
        import app
        import django

        django.setup()
        self.tasks = {kind: getattr(app, kind) for kind in benchlib.KINDS}

    def enqueue(self, kind, value):
        self.tasks[kind].delay(value)

    def bulk(self, kind, values):
        from jobs import enqueue_many

        enqueue_many(kind, [((value,), {}) for value in values])

    def worker(self, slots):
        os.environ["PYTHONPATH"] = os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])
        benchlib.exec_tool("celery", "-A", "app", "worker", "-P", "gevent", "-c", str(slots), "-l", "WARNING")


benchlib.main(Jobs())
