"""Records of what people did, written in the transaction of the change."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.domain.actors import Actor
from jobs.models.audit import Verb
from jobs.store.many import execute_many
from jobs.store.transitions import clean

NOTE = 2000  # letters
SHOWN = ("status", "priority", "queue", "cancel asked")
_STATE = (
    "SELECT id, coalesce(nullif(name, ''), task), status, priority, queue, cancel_requested_at IS NOT NULL FROM jobs_job WHERE id = ANY(%s)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as it was read: what it is called, and what a verb may change."""

    name: str
    values: Mapping[str, Any]


def seen(cursor: Any, ids: Sequence[int], *, statuses: Sequence[str] | None = None) -> dict[int, Seen]:
    """The jobs as they are. With `statuses`: those in one of them, locked until the end of the transaction."""
    if statuses is None:
        cursor.execute(_STATE, [list(ids)])
    else:
        cursor.execute(f"{_STATE} AND status = ANY(%s) ORDER BY id FOR UPDATE", [list(ids), list(statuses)])
    return {id: Seen(name=name, values=dict(zip(SHOWN, values, strict=True))) for id, name, *values in cursor.fetchall()}


def record(cursor: Any, actor: Actor, verb: Verb, before: Mapping[int, Seen], after: Mapping[int, Seen], *, note: str = "") -> None:
    """One row for each job of `before`: only what differs is written."""
    rows = []
    for id, old in before.items():
        new = after[id].values if id in after else {}
        changed = [key for key in old.values if old.values[key] != new.get(key)] if new else list(old.values)
        rows.append(
            (
                clean(actor.name, 200),
                actor.source.value,
                verb.value,
                id,
                clean(old.name, 300),
                json.dumps({key: old.values[key] for key in changed}),
                json.dumps({key: new[key] for key in changed if key in new}),
                clean(note, NOTE),
            )
        )
    write(cursor, rows)


def link(cursor: Any, actor: Actor, verb: Verb, *, old: tuple[int, str], new: tuple[int, str], note: str = "") -> None:
    """A row for each of two jobs (number, name); both say that the new one came from the old one."""
    who = (clean(actor.name, 200), actor.source.value, verb.value)
    change = (json.dumps({"job": old[0]}), json.dumps({"job": new[0]}), clean(note, NOTE))
    write(cursor, [(*who, number, clean(name, 300), *change) for number, name in (old, new)])


def arranged(cursor: Any, actor: Actor, verb: Verb, rows: Sequence[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """A row for each error group (fingerprint, what the error is called, before, after)."""
    if rows:
        who = (clean(actor.name, 200), actor.source.value, verb.value)
        execute_many(
            cursor,
            "INSERT INTO jobs_audit (actor, source, verb, error_group, name, before, after) VALUES %s",
            [(*who, group, clean(name, 300), json.dumps(before), json.dumps(after)) for group, name, before, after in rows],
        )


def steered(
    cursor: Any, actor: Actor, verb: Verb, worker: str, before: Mapping[str, Any], after: Mapping[str, Any], *, note: str = ""
) -> None:
    """A row for a worker, by its name."""
    who = (clean(actor.name, 200), actor.source.value, verb.value)
    write(cursor, [(*who, None, clean(worker, 300), json.dumps(before), json.dumps(after), clean(note, NOTE))])


def write(cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of (actor, source, verb, job, name, before, after, note); the last but one two are JSON texts."""
    if rows:
        execute_many(cursor, "INSERT INTO jobs_audit (actor, source, verb, job, name, before, after, note) VALUES %s", rows)
