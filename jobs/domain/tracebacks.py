"""Tracebacks taken apart: which frames are the project's own, which those of the libraries."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

_FRAME: Final = re.compile(r'^(?P<margin>[ |]*)File "(?P<file>[^"]+)", line (?P<line>\d{1,9})(?:, in (?P<function>.+))?$')
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
    parts: list[_Lines] = []
    margin: int | None = None  # of the frame that the lines before belong to
    for line in text.splitlines():
        found = _FRAME.match(line)
        if found:
            margin = len(found["margin"])
            _add(parts, _frame(line, found))
        elif margin is not None and line[margin:].startswith(("  ", "[Previous line repeated")):
            parts[-1].lines.append(line)
        else:
            margin = None
            _add(parts, _Lines(Part(kind=Kind.TEXT, text=line)))
    return [part.whole() for part in parts]


def last_own(parts: list[Part]) -> Part | None:
    """The frame of the project where the last error came from; None when none is its own."""
    return next((part for part in reversed(parts) if part.kind is Kind.OWN), None)


class _Lines:
    """A part that grows: its texts are put together once."""

    def __init__(self, part: Part) -> None:
        self.part, self.lines, self.frames = part, [part.text], part.frames

    def whole(self) -> Part:
        return replace(self.part, text="\n".join(self.lines), frames=self.frames)


def _frame(line: str, found: re.Match[str]) -> _Lines:
    if _LIBRARY.search(found["file"].replace("\\", "/")):
        return _Lines(Part(kind=Kind.LIBRARY, text=line, frames=1))
    return _Lines(Part(kind=Kind.OWN, text=line, frames=1, file=found["file"], line=int(found["line"]), function=found["function"] or ""))


def _add(parts: list[_Lines], new: _Lines) -> None:
    if new.part.kind is not Kind.OWN and parts and parts[-1].part.kind is new.part.kind:
        parts[-1].lines += new.lines
        parts[-1].frames += new.frames
    else:
        parts.append(new)
