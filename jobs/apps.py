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

        for backend in getattr(settings, "TASKS", {}).values():
            _import(str(backend.get("BACKEND", "")).rpartition(".")[0])


def _import(module: str) -> None:
    """The module of a backend for django.tasks: ours registers its Celery task, and so does one that derives from it."""
    try:
        import_module(module)
    except (ImportError, ValueError):  # of somebody else's Django says that when it is asked for
        if module.startswith("jobs."):
            raise
