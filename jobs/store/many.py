"""Statements over many values, through psycopg2 or psycopg 3 alike."""

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, Final

PLACE: Final = "VALUES %s"
PAGE: Final = 1_000  # rows of one statement


def array(numbers: Iterable[int]) -> str:
    """An array in PostgreSQL's text form, for psycopg2 adapts a list element by element, which takes longer; only numbers get through.

    >>> array([4, 7])
    '{4,7}'
    """
    return "{" + ",".join([f"{number:d}" for number in numbers]) + "}"


def text_array(texts: Iterable[str | None]) -> str:
    """The same of texts; None is NULL. It is a value to be quoted, as any text.

    >>> print(text_array(["a", None, 'say "no"', "C:\\\\"]))
    {"a",NULL,"say \\"no\\"","C:\\\\"}
    """
    return "{" + ",".join(["NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]) + "}"


def execute_many(cursor: Any, sql: str, rows: Iterable[Sequence[Any]], *, template: str | None = None, fetch: bool = False) -> list[Any]:
    """Execute sql, in which the first VALUES %s stands for the rows, once for each PAGE of them; with `fetch`, what came back.

    `template` is one row's text, by default a plain tuple of placeholders.
    """
    head, tail = sql.split(PLACE, 1)
    rows, found = iter(rows), []
    while some := list(islice(rows, PAGE)):
        one = template or f"({', '.join(['%s'] * len(some[0]))})"
        cursor.execute(f"{head}VALUES {', '.join([one] * len(some))}{tail}", list(chain.from_iterable(some)))
        if fetch:
            found += cursor.fetchall()
    return found
