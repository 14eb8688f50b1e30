"""What would have followed a job and will not be sent: the links behind it, the body of its chord.

Their chords are told; and a job that was replaced by a chain or a chord, which is held until the last of it is sent under its id, ends.
"""

from collections.abc import Iterator
from typing import Any

from celery import states
from celery.app.task import Context

from jobs.store import replaced


def fail(backend: Any, links: Any, error: Any) -> None:
    """Each of these links, and of what is within them, fails with this error."""
    for request in _requests(links):
        if request.id is not None:
            backend.store_result(request.id, error, states.FAILURE)
        if request.chord:
            backend.on_chord_part_return(request, states.FAILURE, error)


def cancel(backend: Any, cursor: Any, links: Any, error: BaseException, reason: str) -> None:
    """The job before these links was cancelled. They are not: should it be run again, they follow it."""
    requests = list(_requests(links))
    for request in requests:
        if request.chord:
            backend.on_chord_part_return(request, states.REVOKED, error)
    replaced.cancel(cursor, [request.id for request in requests if request.id is not None], reason)


def _requests(links: Any) -> Iterator[Context]:
    for link in links if isinstance(links, list | tuple) else ():
        options, kwargs = link.get("options") or {}, link.get("kwargs") or {}
        request = Context(link)
        request.update(options)
        request.id, request.group = options.get("task_id"), options.get("group_id")
        yield request
        if link.get("subtask_type"):  # else these are arguments of a task
            yield from _requests(kwargs.get("tasks"))
            yield from _requests([kwargs["body"]] if kwargs.get("body") else None)
