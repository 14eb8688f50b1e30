"""What a browser sends back from the preview of a decision about many dead letters."""

from typing import Any

from django.test import Client


def preview(client: Client, verb: str, query: str) -> dict[str, Any]:
    """The hidden fields of the preview."""
    answer = client.get(f"/jobs/dead-letters/{verb}/?{query}")
    assert answer.status_code == 200
    chosen = answer.context["chosen"]
    fields: dict[str, Any] = {"until": str(chosen.until)}
    for name, value in chosen.pairs:
        fields.setdefault(name, []).append(value)
    return fields
