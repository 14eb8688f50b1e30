"""The words by which a job is found."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

LONGEST: Final = 60  # characters of a word
MOST: Final = 300  # words of one job
OF_TEXT: Final = 2_000  # characters that the words of one text are taken from
_WORD = re.compile(r"\w+")
_ERROR: Final = "=error:"  # no word begins like these
_TASK: Final = "=task:"
FAILED: Final = f"'{_ERROR}':*"  # a tsquery: some run of the job failed
_CREATOR: Final = "=by:"


def words(text: str) -> list[str]:
    """The words of a text as they are compared: runs of letters and digits in small letters.

    >>> words("Invoice #47-B, naïve_user@mail.example")
    ['invoice', '47', 'b', 'naïve_user', 'mail', 'example']
    """
    return [found[:LONGEST] for found in _WORD.findall(text.replace("\0", " ").lower())]


def words_of(task: str, name: str, args: Any, kwargs: Any, created_by: int | None) -> list[str]:
    """Everything a job is found by, but for its errors; args and kwargs are JSON values."""
    found = dict.fromkeys([f"{_TASK}{task}"[: LONGEST * 4], *words(name), *words(task)])
    if created_by is not None:
        found[f"{_CREATOR}{created_by}"] = None
    for text in _leaves([args, kwargs]):
        found.update(dict.fromkeys(words(text)))
        if len(found) > MOST:
            break
    return list(found)[:MOST]


def words_of_error(error_class: str, message: str) -> list[str]:
    """What an error adds."""
    return list(dict.fromkeys([f"{_ERROR}{error_class}"[: LONGEST * 4], *words(error_class), *words(message[:OF_TEXT])]))[:MOST]


def query(text: str = "", *, task: str = "", error_class: str = "", created_by: int | None = None) -> str:
    """A tsquery: all words of the text, by their beginnings, numbers whole, and exactly this task, error class and creator; empty:
    everything. As a beginning, 17 would stand for a hundred thousand numbers, each looked for apart.

    >>> query("Invoice 47", task="mail.send")
    "'invoice':* & '47' & '=task:mail.send'"
    """
    exact = [f"{_TASK}{task}" if task else "", f"{_ERROR}{error_class}" if error_class else ""]
    exact.append("" if created_by is None else f"{_CREATOR}{created_by}")
    parts = [quoted(word) + ("" if word.isdecimal() else ":*") for word in words(text)[:20]]
    return " & ".join([*parts, *(quoted(one[: LONGEST * 4]) for one in exact if one)])


def quoted(word: str) -> str:
    """As a tsvector and a tsquery have it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _leaves(value: Any) -> Iterable[str]:
    """Keys and values of a JSON value as texts, without recursion."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, Mapping):
            rest.extend(reversed([part for pair in one.items() for part in pair]))
        elif isinstance(one, list | tuple):
            rest.extend(reversed(one))
        elif one is not None and not isinstance(one, bool):
            yield str(one)[:OF_TEXT]
