"""JSON values as people read them."""

from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from jobs import masking
from jobs.domain.readable import dumps, encodable, loads
from jobs.domain.typed import plain
from jobs.models import Job
from jobs.store import cut

DOWNLOADED: Final = ("args", "kwargs", "result")  # the columns that the list's file has


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A JSON column of a job: `text` on indented lines, without secrets, with letters of all languages as they are; `value` as it was read;
    `note`: that there is more of it, else empty."""

    value: Any
    text: str
    note: str


def shown(job: Job, name: str) -> Shown:
    """The column with this name."""
    part = cut.part(job, name)
    return Shown(value=part.value, text=dumps(plain(_masked(job, name, part)), indent=2), note=_note(name, part) if part.is_cut else "")


def _note(name: str, part: cut.Part) -> str:
    text = _("Only the beginning is shown: %(shown)s of %(all)s characters.") % {"shown": f"{cut.SHOWN:,}", "all": f"{part.length:,}"}
    return text + " " + _("Download the list of jobs to get all of it.") if name in DOWNLOADED else text


def _masked(job: Job, name: str, part: cut.Part) -> Any:
    if name == "args":
        return masking.positional(job.task, part.value, is_cut=part.is_cut)
    return masking.named(part.value, is_cut=part.is_cut)


def kwargs_line(job: Job) -> str:
    """The job's named arguments without secrets, on one line."""
    return one_line(_masked(job, "kwargs", cut.part(job, "kwargs")))


def call_line(kwargs: str) -> str:
    """Named arguments, given as JSON, as they stand in a call: on one line, without secrets."""
    try:
        found = masking.named(loads(kwargs))
    except ValueError:
        return _("(cannot be read)")
    if not isinstance(found, dict):  # a plain INSERT may have put anything there
        return one_line(found)
    return " ".join(f"{encodable(name)}={dumps(value)}" for name, value in found.items())[:300]


def one_line(value: Any) -> str:
    """JSON on one line, at most 300 characters."""
    return dumps(plain(value))[:300]
