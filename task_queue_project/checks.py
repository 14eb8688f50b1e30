"""What `manage.py check --deploy` asks of this project's own variables."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.utils.translation import gettext as _

LOCAL = {"localhost", "127.0.0.1", "[::1]"}


@register(Tags.security, deploy=True)
def check_visitors(**__: Any) -> list[CheckMessage]:
    """Visitors reach the pages, and are told apart."""
    return list(_visitors())


def _visitors() -> Iterator[CheckMessage]:
    if settings.HTTPS and settings.PROXY_COUNT == 0:
        yield Warning(
            _(
                "HTTPS is on and PROXY_COUNT is 0: all visitors appear to have the proxy’s address, so anybody’s wrong passwords lock an "
                "account for everybody."
            ),
            hint=_("Set PROXY_COUNT to the number of proxies that add to X-Forwarded-For (docs/production.md)."),
            id="jobs.W007",
        )
    if set(settings.ALLOWED_HOSTS) <= LOCAL:
        yield Warning(
            _("ALLOWED_HOSTS names only this machine: requests for the pages under any other name are answered with 400."),
            hint=_("Add the host names under which the pages are served."),
            id="jobs.W008",
        )
