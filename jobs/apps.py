"""The Django app."""

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Makes the task modules of all apps known."""

    name = "jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs import checks, database_checks  # noqa: F401 - they register themselves
        from jobs.domain import moments
        from jobs.store import clock

        moments.tell = clock.known  # the models may not know the store

        if any(str(backend.get("BACKEND", "")).startswith("jobs.integrations.") for backend in getattr(settings, "TASKS", {}).values()):
            import_module("jobs.integrations.django_tasks")  # registers its Celery task
