"""The Celery app and its tasks: the bodies of the benchmark, nothing else."""

import benchlib
import django

django.setup()

from jobs import Celery  # noqa: E402 - after the apps are ready

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
noop = app.task(name="noop")(benchlib.noop)
sleep = app.task(name="sleep")(benchlib.sleep)
stamp = app.task(name="stamp")(benchlib.stamp)
hold = app.task(name="hold")(benchlib.hold)
