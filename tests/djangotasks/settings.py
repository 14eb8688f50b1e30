"""The project's settings, with tasks of `django.tasks` (Django 6) or of its backport (Django 5.2)."""

import django

from task_queue_project.settings import *  # noqa: F403
from task_queue_project.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS += ["tests.djangotasks", *([] if django.VERSION >= (6, 0) else ["django_tasks"])]
BACKEND = "jobs.integrations.django_tasks.Backend"
TASKS = {
    "default": {"BACKEND": BACKEND, "QUEUES": []},
    "patient": {"BACKEND": BACKEND, "QUEUES": ["default", "mail"], "OPTIONS": {"max_retries": 2, "timeout": 5}},
    "hasty": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": {"max_retries": 2, "timeout": 2}},
}
JOBS_RETRY_BACKOFF = 0.1
DATABASES["default"]["TEST"] = {"NAME": "test_django_tasks"}
