"""The Celery app: `celery -A task_queue_project worker -P gevent --concurrency=4`."""

import os
import sys
from typing import Any, Final

from celery.signals import celeryd_init

from jobs import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
PATIENCE: Final = 10.0  # seconds in which a server that restarts may come back before a worker gives up its start

app = Celery("task_queue_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
def _require_servers(**_: Any) -> None:
    """A worker that finds no server says so in one line and ends; later on it outlives their absence."""
    from django.conf import settings

    from task_queue_project import servers

    try:
        servers.wait(settings.SERVERS, patience=PATIENCE, say=lambda line: print(line, file=sys.stderr, flush=True))
    except servers.Unreachable:
        sys.exit(1)
