"""OpenTelemetry, django-guid and django-structlog: a run belongs to its caller, also that of the second call of a task."""

import structlog
from django_guid import set_guid
from opentelemetry.sdk.trace import TracerProvider

from same.notes import noted
from same.running import of, program

from . import tasks
from .calls import calls

T = 60


def _ids(value):
    return {name: "<id>" if name.endswith("id") and part else part for name, part in value.items()}


@program
def spans():
    tracer, found = TracerProvider().get_tracer("caller"), {}
    for name, (call, _, count) in calls().items():
        with tracer.start_as_current_span(f"caller {name}") as span:
            result = call()
        of(result.get, T)
        seen = noted(f"otel {span.get_span_context().trace_id}", count)
        for each in seen:
            each[3] = [attribute for attribute in each[3] if attribute != "celery.reply_to"]  # no result is told by messages
        found[name] = sorted(seen, key=str)
    return found


@program
def correlation():
    found = []
    for guid in ("a" * 32, "b" * 32):
        set_guid(guid)
        structlog.contextvars.bind_contextvars(user_id=guid[0], ip="127.0.0.1")
        result = tasks.correlated.delay(True)
        result.get(T)
        found += [[id == guid, context.pop("user_id"), _ids(context)] for id, context in noted(f"correlated {result.id}", 2)]
    return found
