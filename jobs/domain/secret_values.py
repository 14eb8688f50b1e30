"""Where a secret in a text ends: as Python, JSON and HTTP write values. No text takes longer than its length says."""

import re
from typing import Final

_SCHEME: Final = re.compile(r"(?:bearer|basic|digest|token|negotiate|apikey)\s++", re.IGNORECASE)
# What never ends is hidden to the end of the text.
_QUOTED: Final = re.compile(
    r"""[bBuUrRfF]{0,2}(?:"{3}(?:[^"\\]|\\.|"(?!""))*(?:"{3})?|'{3}(?:[^'\\]|\\.|'(?!''))*(?:'{3})?"""
    r"""|"(?:[^"\\]|\\.)*"?|\$?'(?:[^'\\]|\\.|'')*'?|“[^”\n]*+”?|«[^»\n]*+»?|`[^`\n]*+`?)""",
    re.DOTALL,
)
# The quote of a value within a quoted text, an address, HTML.
_ESCAPED: Final = re.compile(r"""\\++(?:["']|u002[27])|%(?:25)*+2[27]|&(?:quot|apos|\#x?\w{2});""")
_CODED: Final = re.compile(
    r"""(?:%(?!(?:25)*+(?:0[AD]|2[0267CF]|3B|5D|7D))|[^\s,;)\]}&"'%<])*+""", re.IGNORECASE
)  # in a part of an address
_LINE: Final = re.compile(r"""(?:=\\*+"[^"\n]*+"?|[^"'\n])++""")
# YAML's texts of several lines, and its lists.
_BLOCK: Final = re.compile(
    r"[|>][-+\d]*+[ \t]*+\n(?P<in>[ \t]++)[^\n]*+(?:\n(?:(?P=in)[^\n]*+|[ \t]*+(?=\n)))*+|-[ \t]++[^\n]++(?:\n[ \t]*+-[ \t]++[^\n]++)*+"
)
_BARE: Final = re.compile(r"""(?:[^\s,;)\]}&"'(\[{<]++|<(?:[^<>\n]*+>)?)*""")
_PIECE: Final = re.compile(r"""[^"'()\[\]{}\\]++|\\.|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|.""", re.DOTALL)
# A scheme and what follows on the line, but for the end of a quoted text: a quote that no = stands before.
_CREDENTIALS: Final = re.compile(r"""[^\s,;)\]}&"']++[ \t]++(?=[^\s,;)\]}&"'])(?:=\\*+"[^"\n]*+"?|[^"'\n])*""")
_OPEN: Final = "([{"
_CLOSE: Final = ")]}"
_UNCLOSED: Final = 4  # brackets looked for to the end of the text in vain; what others open is hidden to the end of their line


class Values:
    """Of one text. `is_cut`: it is the beginning of a longer one."""

    def __init__(self, text: str, *, is_cut: bool = False) -> None:
        self.text, self.is_cut, self.unclosed = text, is_cut, 0

    def credentials_end(self, at: int) -> int:
        """The same of a header's value: the scheme may be any."""
        found = _CREDENTIALS.match(self.text, at)
        return found.end() if found else self.end(at)

    def line_end(self, at: int) -> int:
        """The same of cookies: the line, but for the end of a quoted text."""
        found = None if _QUOTED.match(self.text, at) else _LINE.match(self.text, at)
        return found.end() if found else self.end(at)

    def coded_end(self, at: int) -> int:
        """The same in an address within an address."""
        found = None if _ESCAPED.match(self.text, at) else _CODED.match(self.text, at)
        return found.end() if found else self.end(at)

    def element_end(self, at: int, name: str) -> int:
        """Where the tag begins that closes this element of XML; `at` where none does, for then it is no element."""
        if self.unclosed < _UNCLOSED:
            if found := re.compile(rf"(?:<|&lt;)/(?:[\w.-]+:)?{re.escape(name)}", re.IGNORECASE).search(self.text, at):
                return found.start()
            self.unclosed += 1
        return len(self.text) if self.is_cut else at

    def end(self, at: int) -> int:
        """Where the value that begins here ends; `at` where there is none."""
        scheme = _SCHEME.match(self.text, at)
        if scheme and (end := self._end(scheme.end())) > scheme.end():
            return end
        return self._end(at)

    def _end(self, at: int) -> int:
        if found := _BLOCK.match(self.text, at):
            return found.end()
        if found := _QUOTED.match(self.text, at):
            return found.end()
        if found := _ESCAPED.match(self.text, at):
            return self._quoted_end(found[0], found.end())
        while True:
            found = _BARE.match(self.text, at)
            at = found.end() if found else at
            if self.text[at : at + 1] not in tuple(_OPEN):
                return at
            at = self._closed(at)

    def _quoted_end(self, quote: str, at: int) -> int:
        """Behind the same quote, with as many backslashes as the first has."""
        while (at := self.text.find(quote, at)) >= 0:
            if self.text[at - 1] != "\\":
                return at + len(quote)
            at += 1
        return len(self.text)

    def _closed(self, at: int) -> int:
        """Behind the bracket that closes the one here; one that never closes: at the end of the line."""
        line = self.text.find("\n", at)
        line = len(self.text) if line < 0 else line
        depth = 0
        for piece in _PIECE.finditer(self.text, at):
            if self.unclosed >= _UNCLOSED and piece.start() >= line:
                return line
            depth += (piece[0] in _OPEN) - (piece[0] in _CLOSE)
            if not depth:
                return piece.end()
        self.unclosed += 1
        return len(self.text) if self.is_cut else line
