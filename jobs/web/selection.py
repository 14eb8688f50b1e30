"""Which open dead letters an act is for: read from the address, and bounded by the newest one that was shown."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import BooleanField, Max, Q
from django.db.models.expressions import RawSQL
from django.http import QueryDict

from jobs import masking
from jobs.domain import words
from jobs.domain.numbers import number_of
from jobs.models.dead_letter import Resolution
from jobs.store import letters, search
from jobs.store.letters import Entries
from jobs.store.many import array

_OF_JOBS = "jobs_deadletterqueue.job_id = ANY (%s::bigint[])"
# As an array, not as a join: each job's entry is looked up in an index, where PostgreSQL would read all entries otherwise. As one array,
# for beside an OR each entry would be compared with each number of it.
_INDEXED = f"""jobs_deadletterqueue.job_id = ANY (ARRAY(
    SELECT unnest(%s::bigint[]) UNION ALL SELECT job FROM jobs_search WHERE words @@ %s::tsquery AND {search.FAILED}))"""
TEXTS = ("group", "task", "error_class", "q")
LONGEST = 200  # letters of each
MOST = 1000  # entries that are named one by one
NOTHING = -1  # no entry has such a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """`pairs` are the filters as they stand in the address."""

    pairs: tuple[tuple[str, str], ...]
    until: int  # no entry above this number: what failed after the preview is not meant

    def rows(self, resolution: Resolution = Resolution.OPEN) -> Entries:
        """The entries that are meant."""
        found = apply(letters.entries(resolution), self.pairs)
        return found.filter(id__lte=self.until) if self.until else found

    @property
    def one_task(self) -> bool:
        """Whether its jobs are of one task by the way they were chosen; the entries of a group are."""
        return any(name in ("task", "group") for name, _value in self.pairs)

    @property
    def query(self) -> str:
        """The filters for an address."""
        return urlencode(self.pairs)


def apply(rows: Entries, pairs: tuple[tuple[str, str], ...]) -> Entries:
    """The rows that pass all filters; none where one makes no sense."""
    if not all(_makes_sense(name, value) for name, value in pairs):
        return rows.none()
    given = dict(pairs)
    numbers = [int(value) for name, value in pairs if name == "entry"]
    if numbers:
        rows = rows.filter(id__in=numbers)
    if "group" in given:
        rows = rows.filter(fingerprint=given["group"])
    if "task" in given:
        rows = rows.filter(job__task=given["task"])
    if "error_class" in given:
        rows = rows.filter(error_class=given["error_class"])
    if "q" in given:
        rows = rows.filter(_found(given["q"]))
    return rows


def _found(text: str) -> Q:
    """Those of jobs that have these words and failed in some run, as the list of jobs finds them."""
    job = number_of(text)
    numbers = [] if job is None else [job]
    query = words.query(text)
    if not query:
        return Q(job_id__in=numbers)
    jobs, every = search.find_failed(query, masking.positional)
    condition, values = (_OF_JOBS, []) if every else (_INDEXED, [query])
    return Q(RawSQL(condition, [array([*numbers, *jobs]), *values], output_field=BooleanField()))


def read(query: QueryDict) -> Selection:
    """The selection that an address or a form asks for; none where a part of it makes no sense: without that part it could be all."""
    texts = [(name, str(query[name])[: LONGEST + 1]) for name in TEXTS if query.get(name)]
    entries = [("entry", text) for text in query.getlist("entry")[:MOST]]
    until = query.get("until", "")
    number = int(until) if _is_number(until) else 0
    return Selection(pairs=(*texts, *entries), until=number or (NOTHING if until else 0))


def fixed(selection: Selection) -> Selection:
    """The same, bounded by the newest entry that it has now."""
    newest = selection.rows().aggregate(newest=Max("id"))["newest"]
    return Selection(pairs=selection.pairs, until=newest or NOTHING)


def oldest(selection: Selection, most: int) -> Selection:
    """So many of its oldest entries, where it has more."""
    last = selection.rows().order_by("id").values_list("id", flat=True)[most - 1 : most].first()
    return selection if last is None else Selection(pairs=selection.pairs, until=last)


def _makes_sense(name: str, value: str) -> bool:
    return _is_number(value) if name == "entry" else "\0" not in value and len(value) <= LONGEST


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
