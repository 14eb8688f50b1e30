"""The same with what follows a call from the process that sends to the one that runs: OpenTelemetry, django-guid, django-structlog."""

import structlog
from django_guid.integrations import CeleryIntegration
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from .libraries.telemetry import Spans
from .with_libraries import *  # noqa: F403

_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(Spans()))
CeleryInstrumentor().instrument(tracer_provider=_provider)
structlog.configure(processors=[structlog.contextvars.merge_contextvars, structlog.processors.KeyValueRenderer()])
DJANGO_GUID = {"GUID_HEADER_NAME": "Correlation-ID", "VALIDATE_GUID": False, "INTEGRATIONS": [CeleryIntegration(log_parent=True)]}
