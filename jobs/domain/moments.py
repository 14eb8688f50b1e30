"""Times as Django reads them."""

from datetime import datetime

from django.utils import timezone


def aware(moment: datetime) -> datetime:
    """The moment with its zone: where USE_TZ is off Django reads times in TIME_ZONE, and does not say so."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.get_default_timezone())
