"""System checks: settings that would break a promise, each with its remedy."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from jobs.conf import configuration


@register()
def check_configuration(**_: Any) -> list[CheckMessage]:
    """Each JOBS_* setting has the right type and range."""
    try:
        configuration()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="jobs.E001")]
    return []
