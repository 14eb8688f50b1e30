"""The Celery app and its tasks: the bodies of the benchmark, nothing else."""

import os

import benchlib

from jobs import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
noop = app.task(name="noop")(benchlib.noop)
sleep = app.task(name="sleep")(benchlib.sleep)
stamp = app.task(name="stamp")(benchlib.stamp)
hold = app.task(name="hold")(benchlib.hold)
