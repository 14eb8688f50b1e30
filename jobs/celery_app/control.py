"""Remote control that also reaches the rows: what is revoked stays revoked, with or without a worker that lives."""

import json
import logging
from typing import Any

from celery import states
from celery.app import control
from celery.app.control import TERM_SIGNAME
from celery.utils.functional import maybe_list
from kombu.exceptions import OperationalError

from jobs.celery_app import sending
from jobs.domain import readable
from jobs.store import canvas, interventions

logger = logging.getLogger(__name__)
# PostgreSQL takes no object apart that has a \u0000 or half a surrogate pair in it: such a message is looked into here.
_ODD = r"options::text ~ '\\u(0000|[dD][89a-fA-F])'"
# A stamp is one value or a list of them.
_STAMPED = f"""
SELECT id, CASE WHEN {_ODD} THEN options::text END FROM jobs_job WHERE status IN ('pending', 'running') AND CASE
  WHEN {_ODD} THEN strpos(options::text, '"stamps"') > 0
  WHEN json_typeof(options->'headers'->'stamps'->%(name)s) = 'array'
  THEN EXISTS (SELECT FROM json_array_elements_text(options->'headers'->'stamps'->%(name)s) stamp WHERE stamp = ANY(%(wanted)s))
  ELSE options->'headers'->'stamps'->>%(name)s = ANY(%(wanted)s) END"""


class Control(control.Control):
    """Celery's, with revocations that PostgreSQL keeps."""

    def revoke(self, task_id: Any, destination: Any = None, terminate: bool = False, signal: Any = TERM_SIGNAME, **kwargs: Any) -> Any:
        """Cancel what waits, ask for what runs to be stopped (`terminate`), and tell the workers.

        Not of an id that has an end and no job: the body of a chord whose header failed. A worker would remember it, and drop that body
        when the header is run again.
        """
        ids = [str(id) for id in maybe_list(task_id) or []]
        ended: set[str] = set()

        def change(cursor: Any) -> None:
            known = _cancel(cursor, "task_id = ANY(%s)", [ids], terminate)
            for id in sorted(set(ids) - known):
                if not canvas.revoke_unknown(cursor, id, self.app.backend.encode_state(states.REVOKED, "revoked")):
                    ended.add(id)

        sending.do(self.app, change, whole=True)
        left = [id for id in ids if id not in ended]
        if ended and not left:
            return None
        return self._tell(super().revoke, left if ended else task_id, destination, terminate, signal, **kwargs)

    def revoke_by_stamped_headers(
        self, headers: Any, destination: Any = None, terminate: bool = False, signal: Any = TERM_SIGNAME, **kwargs: Any
    ) -> Any:
        """The same for all jobs whose stamps match one of the headers."""
        pairs = headers if isinstance(headers, dict) else dict(header.split("=", 1) for header in headers)

        def change(cursor: Any) -> None:
            for name, values in pairs.items():
                wanted = [str(value) for value in maybe_list(values) or []]
                _cancel(cursor, "id = ANY(%s)", [_stamped(cursor, name, wanted)], terminate)

        sending.do(self.app, change, whole=True)
        return self._tell(super().revoke_by_stamped_headers, headers, destination, terminate, signal, **kwargs)

    def _tell(self, broadcast: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return broadcast(*args, **kwargs)
        except (OperationalError, OSError) as error:
            if kwargs.get("reply"):
                raise
            logger.warning("the workers could not be told of the revocation, it holds all the same: %s", error)
            return None


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
