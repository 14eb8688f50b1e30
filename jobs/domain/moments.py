"""Times as Django reads them."""

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone

# What tells the time without a query: the host's clock until jobs.store.clock, which may know how wrong that is, takes its place.
tell: Callable[[], datetime] = timezone.now


def aware(moment: datetime) -> datetime:
    """The moment with its zone: where USE_TZ is off Django reads times in TIME_ZONE, and does not say so."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.get_default_timezone())
