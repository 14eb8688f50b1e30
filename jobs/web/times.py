"""Times as people say them."""

from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from jobs.domain.moments import aware
from jobs.store.clock import reckoned


def clock(seconds: float | None) -> str:
    """A length of time as 0:09, 2:12 or 2:10:00; from a day on in words that stay on one line.

    >>> clock(9.4), clock(132), clock(7800)
    ('0:09', '2:12', '2:10:00')
    """
    if seconds is None:
        return ""
    if seconds >= 86_400:
        return short(seconds)
    minutes, second = divmod(max(int(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def span(seconds: float) -> str:
    """A length of time in words, in at most two units: 48 s, 2 min and 5 s."""
    return _(" and ").join(_units(seconds))


def short(seconds: float) -> str:
    """The same for a narrow place, never on two lines: 48 s, 2 min 5 s."""
    first, *second = _units(seconds)
    text = pgettext("length of time", "%(first)s %(second)s") % {"first": first, "second": second[0]} if second else first
    return text.replace(" ", "\u00a0")


def _units(seconds: float) -> list[str]:
    whole = int(seconds)
    if whole < 1:
        return [_("less than 1 s")]
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3600, whole % 3600 // 60
    parts = [
        ngettext("%(days)d d", "%(days)d d", days) % {"days": days} if days else "",
        _("%(hours)d h") % {"hours": hours} if hours else "",
        _("%(minutes)d min") % {"minutes": minutes} if minutes and not days else "",
        _("%(seconds)d s") % {"seconds": whole % 60} if whole % 60 and whole < 3600 else "",
    ]
    return [part for part in parts if part]


def seconds(value: float | None) -> str:
    """A short time with its decimals, a long one in words; a dash for None."""
    if value is None:
        return "–"
    return span(value) if value >= 60 else _("%(seconds)s s") % {"seconds": f"{value:.2f}" if value < 10 else f"{value:.0f}"}


def local(value: datetime | None = None) -> datetime:
    """The time in the visitor's zone; now for None."""
    return timezone.localtime(aware(reckoned() if value is None else value))


def clock_time(value: datetime, *, seconds: bool = False) -> str:
    """The time in the visitor's zone, with the day unless it is today, and with the year unless it is this one."""
    shown, today = local(value), local().date()
    text = formats.date_format(shown, "H:i:s" if seconds else "H:i")
    if shown.date() == today:
        return text
    return f"{formats.date_format(shown, 'j M' if shown.year == today.year else 'j M Y')} {text}"


def per_minute(rate: float) -> str:
    """A rate without decimals that nobody needs.

    >>> per_minute(0), per_minute(0.24), per_minute(31.4), per_minute(1234.5)
    ('0', '0.2', '31', '1,234')
    """
    return f"{rate:.1f}".removesuffix(".0") if 0 < rate < 10 else f"{rate:,.0f}"
