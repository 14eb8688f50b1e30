"""The same with sentry-sdk and nothing else that looks at what is sent."""

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from .libraries.telemetry import Events
from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS += ["same.libraries"]
sentry_sdk.init(
    dsn="https://key@sentry.invalid/1",
    transport=Events,
    integrations=[CeleryIntegration(monitor_beat_tasks=True), LoggingIntegration()],
    traces_sample_rate=1.0,
    default_integrations=False,
)
CELERY_TASK_ROUTES = None
CELERY_TASK_SEND_SENT_EVENT = False
