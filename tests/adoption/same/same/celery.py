import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "same.settings")

if os.environ["SAME"] == "jobs":
    from jobs import Celery
else:
    from celery import Celery

if os.environ["DJANGO_SETTINGS_MODULE"] == "same.with_tenants":
    from tenant_schemas_celery.app import CeleryApp

    if Celery.__module__.startswith("jobs"):

        class Celery(CeleryApp, Celery):
            """Both."""

    else:
        Celery = CeleryApp

app = Celery("same")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["same"], related_name="more_tasks")
if "CELERY_LOADER" in os.environ:
    from .options.loader import add_to

    add_to(app)
