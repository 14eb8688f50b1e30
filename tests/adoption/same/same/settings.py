"""A project with Celery; `SAME` says whose Celery class it imports."""

import os

SECRET_KEY = "same-same-same-same-same-same-same-same-same-same-same"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "same"]
if os.environ["SAME"] == "jobs":
    INSTALLED_APPS += ["jobs"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["POSTGRES_HOST"],
        "PORT": os.environ["POSTGRES_PORT"],
        "USER": os.environ["POSTGRES_USER"],
        "PASSWORD": os.environ["POSTGRES_PASSWORD"],
        "NAME": os.environ["POSTGRES_DB"],
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CELERY_BROKER_URL = CELERY_RESULT_BACKEND = os.environ["SHOP_REDIS_URL"]
CELERY_RESULT_EXTENDED = True
CELERY_TASK_ROUTES = {"same.tasks.plain.routed": {"queue": "routed"}}
CELERY_TASK_ANNOTATIONS = {"same.tasks.plain.annotated": {"max_retries": 11}}
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_SEND_SENT_EVENT = True
