"""Which errors are equal: numbers, ids and paths do not split a group."""

import hashlib
import re

_VARIABLE = re.compile(
    r"""
    (?P<quoted>'[^']*'|"[^"]*")
  | (?P<uuid>\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b)
  | (?P<hex>\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*[0-9])[0-9a-f]{12,}\b)
  | (?P<path>(?:[A-Za-z]:)?(?:[\\/][\w.\-]+){2,})
  | (?P<number>\d+(?:[.,]\d+)*)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def normalise(message: str) -> str:
    """The message with its variable parts taken out.

    >>> normalise("order 4711 of /srv/app/x.py not found")
    'order … of … not found'
    """
    return _VARIABLE.sub("…", message[:2000]).strip()


def fingerprint(task: str, error_class: str, message: str) -> str:
    """32 hexadecimal digits that equal errors of one task share.

    >>> fingerprint("a.b", "KeyError", "id 1") == fingerprint("a.b", "KeyError", "id 22")
    True
    """
    text = "\0".join((task, error_class, normalise(message)))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
