"""Remote control that also reaches the rows: what is revoked stays revoked, with or without a worker that lives."""

import json
import logging
from typing import Any

from celery import states
from celery.app import control
from celery.utils.functional import maybe_list
from kombu.exceptions import OperationalError

from jobs.celery_app import sending
from jobs.domain import readable
from jobs.store import canvas, interventions

logger = logging.getLogger(__name__)
# PostgreSQL takes no object apart that has a \u0000 or half a surrogate pair in it: such a message is looked into here.
_ODD = r"options::text ~ E'\\\\u(0000|[dD][89a-fA-F])'"
# A stamp is one value or a list of them.
_STAMPED = f"""
SELECT id, CASE WHEN {_ODD} THEN options::text END FROM jobs_job WHERE status IN ('pending', 'running') AND CASE
  WHEN {_ODD} THEN strpos(options::text, '"stamps"') > 0
  WHEN json_typeof(options->'headers'->'stamps'->%(name)s) = 'array'
  THEN EXISTS (SELECT FROM json_array_elements_text(options->'headers'->'stamps'->%(name)s) stamp WHERE stamp = ANY(%(wanted)s))
  ELSE options->'headers'->'stamps'->>%(name)s = ANY(%(wanted)s) END"""


class Control(control.Control):
    """Celery's, with revocations that PostgreSQL keeps."""

    def broadcast(self, command: Any, arguments: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Tell the workers. What is revoked is cancelled before, whoever asks: `revoke()`, a result's, `celery control revoke`.

        What runs is asked to stop where that is wanted too (`terminate`). Not of an id that has an end and no job: the body of a chord
        whose header failed. A worker would remember it, and drop that body when the header is run again.
        """
        given = dict(arguments or {})
        terminate = command == "terminate" or bool(given.get("terminate"))
        if command in ("revoke", "terminate"):
            ids = [str(id) for id in maybe_list(given.get("task_id")) or []]
            ended = self._keep(ids, terminate)
            if ended.issuperset(ids) and ids:
                return [] if kwargs.get("reply") else None
            if ended:
                given["task_id"] = [id for id in ids if id not in ended]
        elif command == "revoke_by_stamped_headers":
            self._keep_stamped(given.get("headers") or {}, terminate)
        else:
            return super().broadcast(command, arguments, *args, **kwargs)
        try:
            return super().broadcast(command, given, *args, **kwargs)
        except (OperationalError, OSError) as error:
            if kwargs.get("reply"):
                raise
            logger.warning("the workers could not be told of the revocation; it still holds: %s", error)
            return None

    def _keep(self, ids: list[str], terminate: bool) -> set[str]:
        """Cancel these; those that have an end and no job."""
        ended: set[str] = set()

        def change(cursor: Any) -> None:
            ended.clear()
            known = _cancel(cursor, "task_id = ANY(%s)", [ids], terminate)
            for id in sorted(set(ids) - known):
                if not canvas.revoke_unknown(cursor, id, self.app.backend.encode_state(states.REVOKED, "revoked")):
                    ended.add(id)

        sending.do(self.app, change, whole=True)
        return ended

    def _keep_stamped(self, headers: Any, terminate: bool) -> None:
        """Cancel all jobs whose stamps match one of the headers."""
        pairs = headers if isinstance(headers, dict) else dict(header.split("=", 1) for header in headers)

        def change(cursor: Any) -> None:
            for name, values in pairs.items():
                wanted = [str(value) for value in maybe_list(values) or []]
                _cancel(cursor, "id = ANY(%s)", [_stamped(cursor, name, wanted)], terminate)

        sending.do(self.app, change, whole=True)


def _stamped(cursor: Any, name: str, wanted: list[str]) -> list[int]:
    """The numbers of the jobs that have not ended and have one of these stamps."""
    cursor.execute(_STAMPED, {"name": name, "wanted": wanted})
    return [id for id, odd in cursor.fetchall() if odd is None or _has(odd, name, wanted)]


def _has(options: str, name: str, wanted: list[str]) -> bool:
    """What PostgreSQL looks for, in the JSON of one message."""
    try:
        found = readable.loads(options)["headers"]["stamps"][name]
    except (ValueError, LookupError, TypeError):  # not what Celery writes: it has no stamps
        return False
    return any((one if isinstance(one, str) else json.dumps(one)) in wanted for one in maybe_list(found) or [])


def _cancel(cursor: Any, condition: str, values: list[Any], terminate: bool) -> set[str]:
    """Cancel the jobs for which the condition holds; the task_ids of all of them."""
    cursor.execute(f"SELECT id, task_id FROM jobs_job WHERE {condition}", values)
    rows = cursor.fetchall()
    ids = [row[0] for row in rows]
    if ids:
        interventions.revoke(cursor, ids)
        if terminate:
            interventions.ask_cancel(cursor, ids, "revoke")
    return {row[1] for row in rows}
