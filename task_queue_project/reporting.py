"""What Django's debug pages and mails to admins show of the settings: no address with a password in it."""

import re

from django.views.debug import SafeExceptionReporterFilter


class ReporterFilter(SafeExceptionReporterFilter):
    """As Django's, which knows passwords by their names; addresses of servers hold them too."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|DATABASE|REDIS|BROKER|SERVERS|EMAIL_URL", re.IGNORECASE
    )
