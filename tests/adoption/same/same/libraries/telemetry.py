"""Where sentry-sdk and OpenTelemetry send to: notes, one list for each trace."""

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from sentry_sdk.transport import Transport

from same.notes import note


class Events(Transport):
    """Instead of sentry's server."""

    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type not in ("event", "transaction", "check_in"):
                continue
            event = item.payload.json
            trace = event.get("contexts", {}).get("trace", {})
            if item.type == "check_in":
                note(f"check-in {event['monitor_slug']}", [event["status"], bool(event.get("monitor_config"))])
                continue
            error = (event.get("exception") or {}).get("values") or [{}]
            note(
                f"sentry {trace.get('trace_id')}",
                {
                    "kind": item.type,
                    "transaction": event.get("transaction"),
                    "op": trace.get("op"),
                    "status": trace.get("status"),
                    "has a parent": bool(trace.get("parent_span_id")),
                    "error": [error[-1].get("type"), error[-1].get("value"), (error[-1].get("mechanism") or {}).get("type")],
                    "frames": [frame["function"] for frame in (error[-1].get("stacktrace") or {}).get("frames", [])][-1:],
                    "task id": event.get("tags", {}).get("celery_task_id"),
                    "job": event.get("extra", {}).get("celery-job"),
                    "spans": sorted({span["op"] for span in event.get("spans", [])}),
                    "data": sorted(name for span in event.get("spans", []) if span["op"] == "queue.process" for name in span["data"]),
                },
            )


class Spans(SpanExporter):
    """Instead of a collector."""

    def export(self, spans):
        for span in spans:
            note(
                f"otel {span.context.trace_id}",
                [span.name, span.kind.name, span.status.status_code.name, sorted(span.attributes), [event.name for event in span.events]],
            )
        return SpanExportResult.SUCCESS
