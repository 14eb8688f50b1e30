"""What people are shown of a job's arguments and errors: JOBS_SECRET_PATTERNS hidden. The rows keep everything."""

import logging
import math
import traceback
from functools import lru_cache
from typing import Any

from jobs import registry
from jobs.conf import configuration
from jobs.domain.secrets import MASK, is_secret, masked, masked_start, masked_text


def text(value: str) -> str:
    """A message or traceback without secrets."""
    return masked_text(value, configuration().secret_patterns)


def start(value: str, length: int) -> str:
    """The first `length` characters of the same."""
    return masked_start(value, configuration().secret_patterns, length)


def named(value: Any, *, longest: int | None = None, is_cut: bool = False) -> Any:
    """Named arguments, or another JSON value, without secrets. `longest`: so many characters of each text are enough; `is_cut`: any may be
    the beginning of a longer one."""
    return masked(value, configuration().secret_patterns, longest=longest, is_cut=is_cut)


def argument(name: str, value: Any) -> Any:
    """The value of one named argument without secrets."""
    shown = named({name: value})
    return shown[name] if isinstance(shown, dict) else shown


def positional(task: str, values: Any, *, longest: int | None = None, is_cut: bool = False) -> Any:
    """Positional arguments without secrets: by the names they have in the task's signature, where this process knows the task."""
    patterns = configuration().secret_patterns
    shown = masked(values, patterns, longest=longest, is_cut=is_cut)
    if not isinstance(shown, list) or not patterns:
        return shown
    hidden, rest = _hidden(task, patterns)
    return [MASK if (place in hidden or place >= rest) and value is not None else value for place, value in enumerate(shown)]


@lru_cache(maxsize=1024)
def _hidden(task: str, patterns: tuple[str, ...]) -> tuple[frozenset[int], float]:
    """The places whose arguments are secret, and the one from which on all are."""
    found = registry.get(task)
    if found is None:
        return frozenset(), math.inf
    parameters = registry.signature(found).parameters.values()
    own = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    is_rest = any(p.kind is p.VAR_POSITIONAL and is_secret(p.name, patterns) for p in parameters)
    return frozenset(place for place, name in enumerate(own) if is_secret(name, patterns)), len(own) if is_rest else math.inf


def in_logs(*names: str) -> None:
    """Let these loggers, which write what tasks raise, with the traceback, write no secrets."""
    for name in names:
        logging.getLogger(name).addFilter(Filter())


class Filter(logging.Filter):
    """For such a logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except Exception:  # a value of a task's own cannot be written; whoever logs it has more to do
            said = str(record.msg)
        record.msg, record.args = text(said), ()
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = text(_traceback(*record.exc_info))
        return True


def _traceback(kind: Any, error: Any, trace: Any) -> str:
    try:
        return "".join(traceback.format_exception(kind, error, trace)).rstrip()
    except Exception:  # an exception of a task's own cannot be looked at
        return "".join([*traceback.format_tb(trace), kind.__name__])
