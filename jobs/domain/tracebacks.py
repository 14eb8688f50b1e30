"""Tracebacks taken apart: which frames are the project's own, which those of the libraries."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

_FRAME: Final = re.compile(r'^(?P<margin>[ |]*)File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
# Installed packages, Python's own modules, and the part of this engine that calls the task.
_LIBRARY: Final = re.compile(
    r"/(?:site|dist)-packages/|/lib(?:64)?/(?:python|pypy)\d|/python3?\d+/lib/|^<|(?:^|/)jobs/(?:celery_app|worker)/", re.IGNORECASE
)


class Kind(StrEnum):
    """Whose part it is; `TEXT` is what is not a frame: headings, and the errors themselves."""

    TEXT = "text"
    OWN = "own"
    LIBRARY = "library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Lines that belong together; `frames` of them are frames. `file`, `line` and `function` are those of one own frame, else empty."""

    kind: Kind
    text: str
    frames: int = 0
    file: str = ""
    line: int = 0
    function: str = ""


def split(text: str) -> list[Part]:
    """The parts in their order, no line lost: own frames one by one, neighbours of any other kind as one.

    >>> [part.kind.value for part in split('Traceback:\\n  File "/a/site-packages/b.py", line 1, in c\\n    d()\\nE: no')]
    ['text', 'library', 'text']
    """
    parts: list[Part] = []
    margin: int | None = None  # of the frame that the lines before belong to
    for line in text.splitlines():
        found = _FRAME.match(line)
        if found:
            margin = len(found["margin"])
            _add(parts, _frame(line, found))
        elif margin is not None and line[margin:].startswith(("  ", "[Previous line repeated")):
            _extend(parts, line)
        else:
            margin = None
            _add(parts, Part(kind=Kind.TEXT, text=line))
    return parts


def last_own(parts: list[Part]) -> Part | None:
    """The frame of the project where the last error came from; None when none is its own."""
    return next((part for part in reversed(parts) if part.kind is Kind.OWN), None)


def _frame(line: str, found: re.Match[str]) -> Part:
    if _LIBRARY.search(found["file"].replace("\\", "/")):
        return Part(kind=Kind.LIBRARY, text=line, frames=1)
    return Part(kind=Kind.OWN, text=line, frames=1, file=found["file"], line=int(found["line"]), function=found["function"] or "")


def _add(parts: list[Part], new: Part) -> None:
    if new.kind is not Kind.OWN and parts and parts[-1].kind is new.kind:
        old = parts.pop()
        new = Part(kind=new.kind, text=f"{old.text}\n{new.text}", frames=old.frames + new.frames)
    parts.append(new)


def _extend(parts: list[Part], line: str) -> None:
    parts[-1] = replace(parts[-1], text=f"{parts[-1].text}\n{line}")
