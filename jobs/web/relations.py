"""What belongs to a job: what sent it, what follows from it, what it has sent, and others like it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from django.utils.translation import gettext as _
from kombu.utils.json import dumps

from jobs.domain.readable import encodable
from jobs.models import Job
from jobs.store.cut import part
from jobs.store.related import related

SENT: Final = 20  # of what it has sent, or of what follows, that are shown
_DEPTH: Final = 20  # of groups in groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One heading. `missing` is the text for those that have no row, each a task or a Celery id."""

    title: str
    jobs: list[Job]
    missing: list[str]
    missing_text: str = ""


def _object(value: Any) -> dict[str, Any]:
    """What a plain INSERT may have put where an object belongs is none."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """The same for an id: as one that PostgreSQL can be asked for and a page can show."""
    return encodable(str(value)).replace("\0", "\ufffd")


def relations(job: Job) -> list[Relation]:
    """Only those that the job has; one query."""
    options = _object(part(job, "options").value)
    headers = _object(options.get("headers"))
    parent, root, group = (_text(headers[key]) if headers.get(key) else None for key in ("parent_id", "root_id", "group"))
    follows = dict(islice(following(_object(options.get("embed"))), SENT))
    sent = list(islice(dict.fromkeys(children(_object(part(job, "result_meta").value).get("children"))), SENT))
    if parent == job.task_id:  # the message of a retry names the run before it
        parent = None
    if root in (parent, job.task_id):
        root = None
    wanted = [id for id in (parent, root, *follows, *sent) if id]
    found = related(job, wanted, f'"group": {dumps(group)}' if group else None)

    def of(title: str, ids: dict[str, str], text: str) -> Relation:
        jobs = [found.known[id] for id in ids if id in found.known]
        return Relation(title=title, jobs=jobs, missing=[name for id, name in ids.items() if id not in found.known], missing_text=text)

    gone, later = _("no longer kept"), _("not sent yet")
    all = [
        of(_("Sent by"), {parent: parent} if parent else {}, gone),
        of(_("The workflow began with"), {root: root} if root else {}, gone),
        Relation(title=_("In its group"), jobs=found.group, missing=[]),
        of(_("Jobs it sent"), {id: id for id in sent if id not in follows}, gone),
        of(_("What runs next"), follows, later),
        Relation(title=_("Newest jobs of this task"), jobs=found.task, missing=[]),
    ]
    return [one for one in all if one.jobs or one.missing]


def children(kept: Any, depth: int = _DEPTH) -> Iterator[str]:
    """The Celery ids of results as Celery keeps them: [[id, parent], members or None], groups within groups.

    >>> list(children([[["a", None], None], [["group", None], [[["b", None], None]]]]))
    ['a', 'b']
    """
    for one in kept if isinstance(kept, list) else []:
        match one:
            case [[str(id), *_], None]:
                yield _text(id)
            case [[_, *_], list(members)] if depth:
                yield from children(members, depth - 1)


def following(embed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Celery id and task of what is sent when the job has completed: the next of its chain, its links, the body of its chord."""
    for one in [*reversed(_list(embed.get("chain"))), *_list(embed.get("callbacks")), embed.get("chord")]:
        signature = _object(one)
        if id := _object(signature.get("options")).get("task_id"):
            yield _text(id), _text(signature.get("task"))
