"""Rows as they are at this moment, wherever the project's routers lead those who read."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from jobs.conf import configuration

M = TypeVar("M", bound=Model)


def rows(model: type[M]) -> QuerySet[M]:
    """All rows of the database of the jobs itself. A replica may be behind, and knows nothing of the locks by which workers live."""
    return model._default_manager.using(configuration().database)
