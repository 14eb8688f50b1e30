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


def last_ids(request: Any) -> list[str]:
    """Of a group, chord or chain that was a link: the ids of the tasks that its chord counts. No ids for any other request."""
    kind = getattr(request, "subtask_type", None)
    return list(_last_ids({"subtask_type": kind, "kwargs": request.kwargs})) if kind and request.task == f"celery.{kind}" else []


def _last_ids(link: Any) -> Iterator[str]:
    """As Celery reckons the size of a chord: all of a group, the last of a chain, the body of a chord."""
    kind, kwargs = link.get("subtask_type"), link.get("kwargs") or {}
    if kind == "group":
        for each in kwargs.get("tasks") or ():
            yield from _last_ids(each)
    elif kind == "chain":
        yield from next((found for each in reversed(kwargs.get("tasks") or ()) if (found := list(_last_ids(each)))), [])
    elif kind == "chord":
        yield from _last_ids(kwargs.get("body") or {})
    elif id := (link.get("options") or {}).get("task_id"):
        yield id


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
