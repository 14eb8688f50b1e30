"""Where a write of Celery's goes: into the transaction that settles a run, into that of its outcome, or to the caller's.

A producer of ours is not a connection to Redis but a batch: what Celery sends through one (a group, the header of a chord) is inserted
together when it is left, so a kill leaves all of it or nothing. A header that is a generator is sent as it yields, and so is what a
project sends through a producer that it has asked for itself.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final

from celery.app.task import Context
from kombu.utils.json import loads

from jobs.celery_app.messages import Row, parts
from jobs.domain.retry import SPENT
from jobs.store import caller
from jobs.store.insert import NewJob
from jobs.store.sent import insert_call, insert_calls, insert_sent, insert_sent_many

Change = Callable[[Any], Any]  # is given the cursor of the transaction
# Headers for the engine, whose run is over or never was.
_OF_A_RUN: Final = {"job_id", "runs", "job_queue", "job_priority", "job_timeout", "job_eta", "max_retries", "autoretry", "alone", SPENT}
_here = threading.local()
_streams: set[str] = set()  # groups whose tasks are sent one by one


@contextmanager
def writing(cursor: Any) -> Iterator[None]:
    """What is sent within goes through this cursor."""
    before = getattr(_here, "cursor", None)
    _here.cursor = cursor
    try:
        yield
    finally:
        _here.cursor = before


def cursor_here() -> Any:
    """The cursor of the transaction that is being written, None outside one."""
    return getattr(_here, "cursor", None)


def outcome_of(app: Any) -> Any:
    """The outcome that gathers what is sent now: the body of its task has ended. None inside and outside of bodies."""
    task = app.current_worker_task
    outcome = getattr(task.request, "outcome", None) if task else None
    return outcome if outcome is not None and outcome.closing and not outcome.settled else None


def do(app: Any, change: Change, *, whole: bool = False) -> Any:
    """Make a change in the right transaction; what it returns, or None when it is made later.

    `whole`: all of it or nothing, and once; else it is one that can be made twice.
    """
    cursor = cursor_here()
    if cursor is not None:
        return change(cursor)
    outcome = outcome_of(app)
    if outcome is not None:
        outcome.changes.append(change)
        return None
    return caller.whole(change) if whole else caller.ask(change)


def send(app: Any, producer: Any, new: NewJob, group: str | None, *, fresh: bool) -> None:
    """Accept a message: now, together with the others of its batch, or with the outcome of the task that sends it.

    `fresh`: its task_id was made for it.
    """
    cursor = cursor_here()
    if cursor is not None:
        insert_sent(cursor, new)
        return
    task = app.current_worker_task
    outcome = getattr(task.request, "outcome", None) if task else None
    if outcome is not None and outcome.retrying and new.task_id == task.request.id:
        outcome.next = new
    elif outcome is not None and outcome.closing and not outcome.settled:
        outcome.changes.append(new)
    elif isinstance(producer, Batch):
        producer.add(new, at_once=group in _streams or not producer.gathers, fresh=fresh)
    else:
        insert_call(new, fresh=fresh)


def apply(cursor: Any, changes: Sequence[NewJob | Change]) -> None:
    """Make the gathered changes, in their order; messages that follow each other in one statement."""
    with writing(cursor):
        for is_row, some in groupby(changes, key=lambda change: isinstance(change, NewJob)):
            if is_row:
                insert_sent_many(cursor, [new for new in some if isinstance(new, NewJob)])
            else:
                for change in some:
                    change(cursor)  # type: ignore[operator]


def context_of(row: Row, queue: str, hostname: str | None) -> Context:
    """The request of a task that does not run, from its message."""
    options = loads(row.options) if row.options else {}
    headers, properties = parts(row, queue, options)
    told = properties.pop("delivery_info") | {"priority": properties["priority"]}
    embed = options.get("embed")
    return Context(
        {key: value for key, value in headers.items() if key not in _OF_A_RUN} | (embed if isinstance(embed, dict) else {}),
        args=loads(row.args), kwargs=loads(row.kwargs), called_directly=False, hostname=hostname, properties=properties,
        correlation_id=properties["correlation_id"], reply_to=properties["reply_to"] or None, delivery_info=told,
    )  # fmt: skip


def stream(group: str) -> None:
    """Send the tasks of this group as they come, until `end_stream`."""
    _streams.add(group)


def end_stream(group: str) -> None:
    """The last task of the group is about to be sent."""
    _streams.discard(group)


class Batch:
    """Stands where Celery expects a producer. One that gathers inserts when it is left."""

    serializer = None

    def __init__(self, app: Any, gathers: bool) -> None:
        self.app, self.gathers = app, gathers
        self.rows: list[NewJob] = []
        self.fresh = False  # the task_id of the last of them
        self.real: Any = None

    @property
    def connection(self) -> "Batch":
        """Itself: there is no connection whose errors need another name."""
        return self

    @contextmanager
    def _reraise_as_library_errors(self) -> Iterator[None]:
        yield

    def add(self, new: NewJob, *, at_once: bool, fresh: bool) -> None:
        """Keep a message until the batch is left."""
        self.rows.append(new)
        self.fresh = fresh
        if at_once:
            self.flush()

    def flush(self) -> None:
        """Insert what is kept, all or nothing, in the caller's transaction."""
        rows, self.rows = self.rows, []
        if not rows:
            return
        if len(rows) == 1:
            insert_call(rows[0], fresh=self.fresh)
            return
        insert_calls(rows)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            if self.real is not None:
                self.real.release()

    def __getattr__(self, name: str) -> Any:
        """Messages that are no tasks go to Redis, through a real producer."""
        if self.real is None:
            self.real = self.app.amqp.producer_pool.acquire(block=True)
        return getattr(self.real, name)
