"""The beginning of a JSON text stands for all of it."""

import json
from typing import Any

from jobs.domain import readable

VALUE = ["x" * 9, {"a": {"b": ["t", 1.5, None]}, 'q"c\\': "\0\ud800 é\\u12", "n": -12e5}, [], {}, [[{"k": [1, 2, {"z": True}]}]], "end"]


def is_beginning(part: Any, of: Any) -> bool:
    if isinstance(part, dict):
        return all(key in of and is_beginning(value, of[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) <= len(of) and all(map(is_beginning, part, of))
    return bool(part == of or (isinstance(part, str) and of.startswith(part)))


def test_wherever_a_text_is_cut_its_beginning_is_read() -> None:
    text = json.dumps(VALUE)
    for place in range(1, len(text)):
        found = readable.beginning(text[:place], 0)
        assert is_beginning(found, VALUE), text[:place]
    assert readable.beginning(text[:-1], 0) == VALUE[:-1]
    assert readable.beginning('["whole", "cu', 4) == ["whole"]
