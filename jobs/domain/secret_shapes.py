"""Secrets that are known by how they look, under whatever name: keys, signed tokens, passwords in addresses."""

import re
from functools import cache
from typing import Final

MASK: Final = "***"
# Up to the last @ before the path: a password may hold one. In an address that nobody could use, it may hold the path's / too.
_IN_ADDRESS: Final = re.compile(
    r"""(:\\*+/\\*+/[^\s:/@"'\[]*+:)(?:[^\s/"']+@|(?!\d*+[/?\#])(?:(?!://)[^\s"'@])++@)""",
)
_KEY_IN_ADDRESS: Final = re.compile(r"(https?:\\*+/\\*+/)[^\s:/@\"'?#]++@", re.IGNORECASE)  # a name without a password is a key
_CUT_ADDRESS: Final = re.compile(r"(://[^\s:/@\"']*+:)[^\s/\"']++\Z")
# What a text must contain, in small letters, and what is hidden then, but for its first group.
_SHAPES: Final = (
    (
        "PRIVATE KEY",
        r"()-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----(?:[\w+/=:,.()\s]|\\++[nr]|-(?!----))*+(?:-----END[\w ]*+-----)?",
    ),
    ("eyJ", r"()(?<![\w.-])eyJ[\w-]{8,}+\.[\w-]++(?:\.[\w-]*+){1,3}"),
    ("AKIA", r"()\bAKIA[A-Z0-9]{16}\b"),
    ("ASIA", r"()\bASIA[A-Z0-9]{16}\b"),
    ("AIza", r"()\bAIza[\w-]{30,}+"),
    ("bearer", r"(\bbearer\s++)(?=\D{0,200}+\d)[\w.~+/-]{16,}+=*+"),
    ("authorization", r"(\bauthorization\s++(?:basic|bearer)\s++)[^\s\"',;]++"),
    ("gh", r"()\b(?:gh[a-z]_|github_pat_)\w{20,}+"),
    ("glpat-", r"()\bglpat-[\w-]{20,}+"),
    ("xox", r"()\bxox[a-z]-[\w-]{10,}+"),
    ("k_", r"()\b[rs]k_(?:live|test)_\w{10,}+"),
    ("sk-", r"()(?<![\w-])sk-(?=[a-z_-]*+\d)[\w-]{20,}+"),
    ("hooks.slack.com", r"(hooks\.slack\.com/services/)[^\s\"'?#)]++"),
    ("api.telegram.org", r"(api\.telegram\.org/bot)[^\s\"'/?#]++"),
    ("sig", r"([?&](?:sig|(?:x-(?:amz|goog)-)?signature)=)[^\s&\"'#,;)]++"),
    ("$", r"()\b(?:pbkdf2_sha\d{1,3}|argon2\w{0,9}|bcrypt\w{0,9}|scrypt)\$[^\s,;'\")]++"),
    ("jdbc:oracle", r"(jdbc:oracle:\w{1,20}+:[^\s:/@]{0,100}+/)[^\s@]{1,200}+@"),
)


def masked_shapes(text: str, *, is_cut: bool = False) -> str:
    """The text without them. `is_cut`: it is the beginning of a longer one.

    >>> masked_shapes("no route to postgres://jobs:s3cr@t@db/x with AKIAIOSFODNN7EXAMPLE")
    'no route to postgres://jobs:***@db/x with ***'
    """
    if "//" in text or "\\/" in text:
        text = _KEY_IN_ADDRESS.sub(rf"\g<1>{MASK}@", _IN_ADDRESS.sub(rf"\g<1>{MASK}@", text))
        if is_cut:  # the @ may come later
            text = _CUT_ADDRESS.sub(rf"\g<1>{MASK}", text)
    small = text.lower()
    for sign, pattern in _SHAPES:
        if sign.lower() in small:
            text = _shape(sign, pattern).sub(lambda found: f"{found[1]}{MASK}{'@' if found[0][-1] == '@' else ''}", text)
    return text


@cache
def _shape(sign: str, pattern: str) -> re.Pattern[str]:
    """Made when it is met: most processes see none of them. A sign in small letters stands for large ones too."""
    return re.compile(pattern, re.IGNORECASE if sign.islower() else 0)
