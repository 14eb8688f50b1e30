"""The same project with the libraries that Celery projects use (requirements-libraries.txt)."""

import os

from .settings import *  # noqa: F403
from .settings import CELERY_BROKER_URL, INSTALLED_APPS

INSTALLED_APPS += [
    "django_celery_beat",
    "django_celery_results",
    "celery_progress",
    "djcelery_email",
    "django_guid",
    "django_structlog",
    "health_check",
    "same.libraries",
]
EMAIL_BACKEND = "djcelery_email.backends.CeleryEmailBackend"
CELERY_EMAIL_BACKEND = "same.libraries.mail.Notes"
CELERY_EMAIL_TASK_CONFIG = {"rate_limit": "50/m", "ignore_result": False, "queue": "routed"}
DJANGO_STRUCTLOG_CELERY_ENABLED = True
CELERY_SINGLETON_BACKEND_URL = os.environ["NOTES_URL"]
CELERY_SINGLETON_KEY_PREFIX = os.environ["SAME"]
CELERY_ONCE = {
    "backend": "celery_once.backends.Redis",
    "settings": {"url": os.environ["NOTES_URL"].replace("unix:", "redis+socket:"), "default_timeout": 60},
}
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_REDBEAT_REDIS_URL = os.environ["NOTES_URL"]
CELERY_REDBEAT_KEY_PREFIX = f"redbeat-{os.environ['SAME']}:"
CELERY_TASK_REMOTE_TRACEBACKS = True
