"""The smallest Django project around the `jobs` app."""

import benchlib

SECRET_KEY = "only-for-the-benchmark-" * 3
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "jobs"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": benchlib.PG_DB,
        "USER": benchlib.PG_USER,
        "HOST": benchlib.PG_HOST,
        "PORT": benchlib.PG_PORT,
        "CONN_MAX_AGE": None,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CELERY_BROKER_URL = REDIS_URL = benchlib.REDIS_URL
ADMIN_EMAILS = []

import app  # noqa: E402, F401 - the Celery app is known wherever these settings are read, as in a project's __init__.py
