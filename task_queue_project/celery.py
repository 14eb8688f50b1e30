"""The Celery app: `celery -A task_queue_project worker -P gevent --concurrency=4`."""

import os

from jobs import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")

app = Celery("task_queue_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
