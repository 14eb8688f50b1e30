"""Names that tell of a secret, and what stands between one and its value in a text."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_WORD: Final = r"[\w.-]"  # of what words with names in them are made
_QUOTE: Final = r"""(?:\\++u002[27]|%(?:25)*+2[27]|&(?:quot|apos|\#x?\w{2});|\\*+["']?)"""  # also as JSON, addresses and HTML write one
_GAP: Final = "(?:[\\s\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|%(?:25)*+20)*+"  # Arabic has marks of direction there
_BETWEEN: Final = rf"{_QUOTE}{_GAP}(?:!?=++>?|:=?|[：＝]|%(?:25)*+3[AD]){_GAP}"  # a name and its value
# As libraries show headers: ("name", "value"), and as JSON does: [["name", "value"], …]
_IN_PAIR: Final = (
    r"""(?:(?<=\(["'])|(?<=\(b["'])|(?<=\[\[["'])|(?<=\],\[["'])|(?<=\], \[["']))""",
    r"""["']\s*+,\s*+(?=b?["'])""",
)
_OF_OPTION: Final = r"""(?:[ \t]++(?![-\s])|["']\s*+,\s*+(?=["']))"""  # --name and its value, also as a list of Python or JSON shows them
# Of another word, or what is known of a secret and is none.
_LONGER: Final = (
    r"(?!less|i[sz](?:e|ing|ation)|ar(?:y|ies|iat)|ly|s?[-_.]?(?:name|count|type|kind|len|length|size|limit|usage|used|budget|ttl|age|policy|hasher"
    r"|validator|required|enabled|missing|expires|expired|expiry|expiration|changed|created|updated|endpoint|algorithm)s?"
    rf"(?:[-_]?(?:at|in|on))?(?!{_WORD}))"
)
_HARMLESS: Final = re.compile(
    r"(?:Error|Exception|Warning|DoesNotExist|MultipleObjectsReturned)(?![\w.-])"  # classes of errors
    r"|(?<![\w.-])(?:is|has|max|min|num|total|prompt|completion|input|output|cached|reasoning)[-_](?:tokens(?![\w.-])|(?<=is_)|(?<=has_))",
)


@lru_cache(maxsize=8)
def _names(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_any_of(patterns) or "(?!)", re.IGNORECASE)


def _any_of(patterns: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(_spelt, patterns))}){_LONGER}" if patterns else ""


def _spelt(pattern: str) -> str:
    return "".join("[-_]" if letter in "-_" else re.escape(letter) for letter in pattern)


def has_any(text: str, patterns: Sequence[str]) -> bool:
    """Whether such a name stands anywhere in the text."""
    folded = _folded(text)
    return any(_folded(pattern) in folded for pattern in patterns) and _names(tuple(patterns)).search(text) is not None


def _folded(text: str) -> str:
    return text.casefold().replace("-", "_")


def is_secret(name: str, patterns: Sequence[str]) -> bool:
    """Whether a value of this name is hidden; `-` and `_` are alike.

    >>> is_secret("X-Api-Key", ["api_key"]), is_secret("path", ["pass"]), is_secret("to", [])
    (True, False, False)
    >>> is_secret("token_count", ["token"]), is_secret("InvalidTokenError", ["token"]), is_secret("token_count", ["token_count"])
    (False, False, True)
    """
    return has_any(name, patterns) and not is_harmless(name)


def is_harmless(name: str) -> bool:
    """Whether it is the name of a class of errors, of a number of tokens, or says yes or no."""
    return _HARMLESS.search(name) is not None


@lru_cache(maxsize=8)
def assigned(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """A telling name and what stands between it and its value; the groups `tag` and `column` say that it is one of XML or of PostgreSQL.
    A word is searched once, from its beginning: tried again from each name within it, `tokentokentoken...` would take hours.
    """
    of_words = [pattern for pattern in patterns if re.fullmatch(f"{_WORD}*", pattern)]
    others = [pattern for pattern in patterns if pattern not in of_words]
    names = _any_of(of_words)
    word = rf"(?={_WORD}*?{names}){_WORD}*+"
    ways = (
        [rf"(?<!{_WORD}){word}{_BETWEEN}", f"{_IN_PAIR[0]}{word}{_IN_PAIR[1]}", rf"(?<!{_WORD})(?=--){word}{_OF_OPTION}"] if names else []
    )
    ways += [rf"(?<=[<:;])(?P<tag>{word})(?:\s(?:(?!{names})[^<>/]){{0,120}})?(?:>|&gt;)"] if names else []
    column = rf"""(?=[\w\s,.:"]{{0,120}}?(?:\([\w\s,.:"]{{0,120}}?)?{names})"""
    ways += [rf"\bKey \((?P<column>{column})[^=\n]{{0,300}}?\)=(?=\()"] if names else []
    ways += [f"{_any_of(others)}{_WORD}*+{_BETWEEN}"] if others else []
    return re.compile("|".join(ways) or "(?!)", re.IGNORECASE)
