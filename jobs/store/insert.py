"""New rows: the one door."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from json import JSONDecoder
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init
from psycopg2.extensions import get_wait_callback

from jobs.conf import configuration
from jobs.domain import task_ids
from jobs.domain.statuses import Status
from jobs.store import caller
from jobs.store.many import execute_many

if TYPE_CHECKING:
    from jobs.models import Job


@dataclass(slots=True, kw_only=True)
class NewJob:
    """What is stored of a request; args, kwargs and options are JSON texts, run_at None means now. To freeze it costs as much as to encode
    its arguments; nobody changes one.
    """

    task: str
    args: str = "[]"
    kwargs: str = "{}"
    name: str = ""
    queue: str = "celery"
    priority: int = 5
    run_at: Any = None
    max_retries: int | None = 3
    autoretry: bool = True
    timeout: int | None = None
    unique_key: str | None = None
    created_by_id: int | None = None
    options: str | None = None
    task_id: str | None = None


_COLUMNS = tuple(item.name for item in fields(NewJob))
# What is empty here is left to the column's default in the database.
_LEFT_OUT = {"name": "", "run_at": None, "unique_key": None, "created_by_id": None, "options": None, "task_id": None}
_OWN = ("name", "args", "kwargs", "priority")  # what the rows of one call of insert_many do not share, beside their ids
_OWN_OF_COPIES = ("task_id", "args", "kwargs")
_EMPTY = tuple(_LEFT_OUT.get(name, _LEFT_OUT) for name in _COLUMNS)  # no value equals that dictionary
_JSON = ("args", "kwargs", "options")
_read_values = attrgetter(*_COLUMNS)
# From a place on; the texts are this project's own, so nothing stands before the value.
_read_json = JSONDecoder().scan_once  # type: ignore[attr-defined]
_MADE = ("id", "run_at", "created_at")  # by the database
_DEFAULTS: dict[str, Any] = {
    "status": Status.PENDING.value, "attempts": 0, "runs": 0, "losses": 0, "last_error": "", "cancel_requested_by": "",
    "permanently_failed": False, **dict.fromkeys(
        ("result", "result_meta", "progress", "deadline_at", "worker", "cancel_requested_at", "started_at", "finished_at")
    ),
}  # fmt: skip
_UNIQUE = " ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND status IN ('pending', 'running') DO NOTHING"
_MAKE = f" RETURNING {', '.join(_MADE)}"
_MAKE_UNIQUE = _UNIQUE + _MAKE
_MAKE_ONCE = " ON CONFLICT DO NOTHING" + _MAKE
_FOUND = ("unique_key = %s AND status IN ('pending', 'running')", "task_id = %s")


def given(new: NewJob) -> dict[str, Any]:
    """The columns that are not left to their defaults, with their values."""
    return {name: value for name, value, empty in zip(_COLUMNS, _read_values(new), _EMPTY, strict=True) if value != empty}


def _model() -> "type[Job]":
    """The model, when it is needed: tasks are made, and named, before Django has loaded the models."""
    from jobs.models import Job

    return Job


@cache
def _fields() -> tuple[list[str], str]:
    """Attributes and columns of a row."""
    found = _model()._meta.concrete_fields
    return [field.attname for field in found], ", ".join(str(field.column) for field in found)


@lru_cache(maxsize=64)
def _statement(columns: tuple[str, ...]) -> str:
    return f"INSERT INTO jobs_job ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"


def inserting(new: NewJob, ending: str) -> tuple[str, list[Any]]:
    """The statement that inserts one, which ends so, and its parameters."""
    values = given(new)
    return _statement(tuple(values)) + ending, list(values.values())


def insert(new: NewJob) -> "Job":
    """Insert one with a task_id in the caller's transaction. With a unique_key held by a job that has not ended, that job is returned."""
    alias = configuration().database
    ending = _MAKE if new.unique_key is None else _MAKE_UNIQUE
    statement, values = inserting(new, ending)
    while True:
        made = caller.first_row(statement, values, again=lambda: statement.removesuffix(ending) + _MAKE_ONCE)
        if made is not None:
            return _inserted(alias, new, made)
        # The key is taken, or the first of two tries was committed; if the key's job ends before this, the next round inserts.
        names, columns = _fields()
        for found, value in zip(_FOUND, (new.unique_key, new.task_id), strict=True):
            row = caller.first_row(f"SELECT {columns} FROM jobs_job WHERE {found}", [value])
            if row is not None:
                return _model().from_db(alias, names, row)


def _inserted(alias: str, new: NewJob, made: Sequence[Any]) -> "Job":
    """The row as it is now, made as Django makes one that was pickled. To read back all columns costs a sixth of the insert; the
    model's own `from_db` a thirtieth more than this.
    """
    values = _DEFAULTS.copy()
    values.update(zip(_COLUMNS, _read_values(new), strict=True))
    values.update(zip(_MADE, made, strict=True))
    for name in _JSON:
        text = values[name]
        values[name] = {} if text == "{}" else None if text is None else _read_json(text, 0)[0]
    model = _model()
    if pre_init.has_listeners(model) or post_init.has_listeners(model):
        names, _ = _fields()
        return model.from_db(alias, names, [values[name] for name in names])
    job = model.__new__(model)
    job.__dict__ = values
    state = job._state = ModelState()
    state.db, state.adding = alias, False
    return job


def insert_many(common: NewJob, calls: Iterable[tuple[str, str, str, int]], count: int) -> list[int]:
    """Insert count rows like common, each with its own (name, args, kwargs, priority); their numbers, in the order given.

    What the iterable raises while the rows are on their way goes through, and none of them is inserted.
    """
    constant = {name: value for name, value in given(common).items() if name not in _OWN}
    columns = ", ".join(("id", "task_id", *_OWN, *constant))
    made: list[bool] = []
    db = caller.own()
    db.ensure_connection()  # which says so in a coroutine

    def change(cursor: Any) -> list[int]:
        cursor.execute("SELECT nextval((SELECT pg_get_serial_sequence('jobs_job', 'id')::regclass)) FROM generate_series(1, %s)", [count])
        numbers = [row[0] for row in cursor.fetchall()]
        made.append(True)  # what the calls are made of is there only once
        rows = zip(numbers, task_ids.make_many(count), calls, strict=True)
        if is_psycopg3 or get_wait_callback() is None:
            stream = _CopyStream(rows, constant.values())
            try:
                with db.wrap_database_errors:
                    _copy(cursor, f"COPY jobs_job ({columns}) FROM STDIN", stream)
            except DatabaseError:
                if stream.error is not None:
                    raise stream.error from None
                raise
        else:  # psycopg2 has no COPY where a callback waits for the socket, as in a gevent worker
            execute_many(
                cursor, f"INSERT INTO jobs_job ({columns}) VALUES %s", ((number, id, *own, *constant.values()) for number, id, own in rows)
            )
        return numbers

    return caller.whole(change, made)


def _copy(cursor: Any, sql: str, stream: "_CopyStream") -> None:
    if is_psycopg3:
        with cursor.copy(sql) as copy:
            while text := stream.read(stream.SIZE):
                copy.write(text)
    else:
        cursor.copy_expert(sql, stream, stream.SIZE)


class _CopyStream:
    """Rows as the text that COPY reads, made while PostgreSQL takes in what was made before."""

    SIZE: Final = 8192  # what libpq sends at once: PostgreSQL takes it in while the next is made

    def __init__(self, rows: Iterator[tuple[int, str, tuple[str, str, str, int]]], constant: Iterable[Any]) -> None:
        self._rows = rows
        self._ending = "".join("\t" + _copied(value) for value in constant) + "\n"
        self._rest = ""
        self.error: Exception | None = None

    def read(self, size: int) -> str:
        """At most size characters; psycopg2 would hide the class of an error, so it is kept."""
        ending = self._ending
        if len(self._rest) < size:
            parts, total = [self._rest], len(self._rest)
            try:
                for number, id, (name, args, kwargs, priority) in self._rows:
                    # JSON has no control characters left to escape
                    line = f"{number}\t{id}\t{_copied(name)}\t{_json(args)}\t{_json(kwargs)}\t{priority}{ending}"
                    parts.append(line)
                    total += len(line)
                    if total >= size:
                        break
            except Exception as error:
                self.error = error
                raise
            self._rest = "".join(parts)
        text, self._rest = self._rest[:size], self._rest[size:]
        return text


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v"})


def _copied(value: Any) -> str:
    """A value in COPY's text format."""
    if value is None:
        return "\\N"
    return str(value).translate(_ESCAPES) if value != "" else ""


def _json(text: str) -> str:
    return text.replace("\\", "\\\\") if "\\" in text else text


class Copies:
    """Rows like one, each with its own arguments and task_id: what is put together once for all of them."""

    def __init__(self, new: NewJob) -> None:
        common = {name: value for name, value in given(new).items() if name not in _OWN_OF_COPIES}
        self._statement = _statement((*_OWN_OF_COPIES, *common))
        self._common = tuple(common.values())

    def insert(self, task_id: str, args: str, kwargs: str) -> None:
        """Insert one whose id was made just now, in the caller's transaction."""
        caller.first_row_anywhere(self._statement, (task_id, args, kwargs, *self._common), self._again)

    def _again(self) -> str:
        return f"{self._statement} ON CONFLICT (task_id) DO NOTHING"
