"""Records of what people did, written in the transaction of the change."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.domain import readable
from jobs.domain.actors import Actor
from jobs.models.audit import Verb
from jobs.store.many import execute_many
from jobs.store.transitions import clean

NOTE = 2000  # letters
SHOWN = ("status", "priority", "queue", "cancel asked")
_STATE = """SELECT id, coalesce(nullif(name, ''), task), CASE WHEN %s THEN kwargs::text END, status, priority, queue,
                   cancel_requested_at IS NOT NULL FROM jobs_job WHERE id = ANY(%s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as it was read: what it is called, what a verb may change, and those named arguments that one is to replace."""

    name: str
    values: Mapping[str, Any]
    arguments: Mapping[str, Any]


def seen(cursor: Any, ids: Sequence[int], *, statuses: Sequence[str] | None = None, arguments: Collection[str] = ()) -> dict[int, Seen]:
    """The jobs as they are, with the named arguments of these names. With `statuses`: those in one of them, locked until the end of
    the transaction."""
    if statuses is None:
        cursor.execute(_STATE, [bool(arguments), list(ids)])
    else:
        cursor.execute(f"{_STATE} AND status = ANY(%s) ORDER BY id FOR UPDATE", [bool(arguments), list(ids), list(statuses)])
    return {
        id: Seen(name=name, values=dict(zip(SHOWN, values, strict=True)), arguments=_those(kwargs, arguments))
        for id, name, kwargs, *values in cursor.fetchall()
    }


def _those(kwargs: str | None, names: Collection[str]) -> dict[str, Any]:
    try:
        found = readable.loads(kwargs or "{}")
    except ValueError:
        return {}
    return {name: found[name] for name in names if name in found} if isinstance(found, dict) else {}


def record(
    cursor: Any,
    actor: Actor,
    verb: Verb,
    before: Mapping[int, Seen],
    after: Mapping[int, Seen],
    mask: Callable[[str, Any], Any],
    *,
    note: str = "",
) -> None:
    """One row for each job of `before`: only what differs is written. `mask` hides secrets of an argument, by its name and value."""
    rows = []
    for id, old in before.items():
        new = after.get(id)
        rows.append((id, old.name, _part(old, new, mask), _part(new, old, mask) if new else {}))
    write(cursor, actor, verb, rows, note=note)


def _part(one: Seen, other: Seen | None, mask: Callable[[str, Any], Any]) -> dict[str, Any]:
    """What `one` has otherwise than `other`; all but the arguments where there is no other."""
    if other is None:
        return dict(one.values)
    part: dict[str, Any] = {key: value for key, value in one.values.items() if value != other.values[key]}
    names = [name for name in {**one.arguments, **other.arguments} if not _same(name, one.arguments, other.arguments)]
    if names:
        part["arguments"] = {clean(name, 300): _kept(mask(name, one.arguments[name])) for name in names if name in one.arguments}
    return part


def _same(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """As JSON: 1, 1.0 and true are three values."""
    return name in one and name in other and json.dumps(one[name]) == json.dumps(other[name])


def _kept(value: Any) -> Any:
    """The value; its JSON as a text where not every reader takes it (an infinite number, half a pair of surrogates), and the beginning of a
    long one, for a record stays for ever."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        json.dumps(value, allow_nan=False)
        text.encode()
    except ValueError:
        return readable.encodable(text)[:NOTE]
    return value if len(text) <= NOTE else f"{text[:NOTE]}…"


def link(cursor: Any, actor: Actor, verb: Verb, *, old: tuple[int, str], new: tuple[int, str], note: str = "") -> None:
    """A row for each of two jobs (number, name); both say that the new one came from the old one."""
    write(cursor, actor, verb, [(number, name, {"job": old[0]}, {"job": new[0]}) for number, name in (old, new)], note=note)


def last(cursor: Any, job: int, verb: Verb) -> int:
    """The number of the newest record that says so of the job; 0 if there is none."""
    cursor.execute("SELECT coalesce(max(id), 0) FROM jobs_audit WHERE job = %s AND verb = %s", [job, verb.value])
    return int(cursor.fetchone()[0])


# One step of the index for each who ever did anything, however many records there are.
_ACTORS: Final = """
WITH RECURSIVE step AS (
    (SELECT actor FROM jobs_audit ORDER BY actor LIMIT 1)
  UNION ALL
    SELECT (SELECT a.actor FROM jobs_audit a WHERE a.actor > step.actor ORDER BY a.actor LIMIT 1) FROM step WHERE step.actor IS NOT NULL)
SELECT actor FROM step WHERE upper(actor) = upper(%s)"""


def actors(cursor: Any, name: str) -> list[str]:
    """Those of whom there are records that have this name, in large letters or small ones."""
    cursor.execute(_ACTORS, [name])
    return [row[0] for row in cursor.fetchall()]


def arranged(cursor: Any, actor: Actor, verb: Verb, rows: Sequence[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]) -> None:
    """A row for each error group (fingerprint, what the error is called, before, after)."""
    sql = "INSERT INTO jobs_audit (actor, source, verb, error_group, name, before, after) VALUES %s"
    who = _who(actor, verb)
    execute_many(
        cursor, sql, [(*who, group, clean(name, 300), json.dumps(before), json.dumps(after)) for group, name, before, after in rows]
    )


def steered(
    cursor: Any, actor: Actor, verb: Verb, worker: str, before: Mapping[str, Any], after: Mapping[str, Any], *, note: str = ""
) -> None:
    """A row for a worker, by its name, or for a bulk action, by its number."""
    write(cursor, actor, verb, [(None, worker, before, after)], note=note)


def write(
    cursor: Any, actor: Actor, verb: Verb, rows: Sequence[tuple[int | None, str, Mapping[str, Any], Mapping[str, Any]]], *, note: str = ""
) -> None:
    """A row for each (job, what it is called, before, after)."""
    sql = "INSERT INTO jobs_audit (actor, source, verb, job, name, before, after, note, batch) VALUES %s"
    who, more = _who(actor, verb), (clean(note, NOTE), actor.batch)
    execute_many(
        cursor, sql, [(*who, job, clean(name, 300), json.dumps(before), json.dumps(after), *more) for job, name, before, after in rows]
    )


def _who(actor: Actor, verb: Verb) -> tuple[str, str, str]:
    return clean(actor.name, 200), actor.source.value, verb.value
