"""Rows become Celery messages, pushed in one pipeline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.celery_app import messages, signing
from jobs.celery_app.messages import Row
from jobs.conf import configuration
from jobs.domain.priority import lane_key
from jobs.leader.window import Lane


def key(lane: Lane) -> str:
    """The Redis list of a lane."""
    return configuration().key_prefix + lane_key(*lane)


def message(row: Row, lane: Lane) -> str:
    """The message, as kombu would have written it."""
    queue = lane[0]
    options = json.loads(row.options) if row.options else {}
    options = options if isinstance(options, dict) else {}
    body = messages.body_of(row, options)
    headers, properties = messages.parts(row, queue, options)
    headers["sig"] = signing.sign(headers, body)
    return json.dumps(
        {"body": body, "content-encoding": "utf-8", "content-type": "application/json", "headers": headers, "properties": properties}
    )


def _message(row: Row, lane: Lane) -> str:
    """One row must not stop the others: options that Python cannot read are left out, the worker sees to the rest."""
    try:
        return message(row, lane)
    except (ValueError, RecursionError):
        return message(replace(row, options=None), lane)


def pushes(batch: Mapping[Lane, Sequence[Row]]) -> list[tuple[Any, ...]]:
    """The commands that push all, the highest lane first."""
    ordered = sorted(batch.items(), key=lambda item: item[0][1])
    return [("LPUSH", key(lane), *[_message(row, lane) for row in rows]) for lane, rows in ordered]


def lengths(lanes: Sequence[Lane]) -> list[tuple[Any, ...]]:
    """The commands that ask how much lies in these lanes."""
    return [("LLEN", key(lane)) for lane in lanes]
