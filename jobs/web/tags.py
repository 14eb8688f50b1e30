"""What the templates need: icons, states, times and values as people read them."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

from django import template
from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from jobs import batches, masking, refusals
from jobs.domain import own_failures, tracebacks
from jobs.domain.statuses import State
from jobs.domain.texts import NAME_LIMIT
from jobs.models.attempt import unrecorded
from jobs.models.dead_letter import RESOLUTION_LABELS
from jobs.models.job import STATUS_LABELS
from jobs.store.clock import reckoned
from jobs.web import acts, addresses, choices, marks, times, values
from jobs.web.labels import HIDDEN, STATE_LABELS
from jobs.web.times import clock, clock_time, local

LONG: Final = 2_000  # letters of an error: more than a line shows
SAID: Final = {
    "priority": "priority",
    "queue": "queue",
    "own": "owner",
    "snooze": "snoozed until",
    "wake": "snoozed until",
}  # by the verb itself
register = template.Library()
for _filter in (
    acts.act_text, acts.options, values.call_line, values.kwargs_line, times.clock, times.short, times.span, times.seconds,
    times.per_minute, unrecorded,
):  # fmt: skip
    register.filter(_filter)
register.filter("refusal", refusals.said)
register.filter("remark", batches.remark_text)
for _tag in (choices.other_language, marks.spark, marks.slot_meter, marks.slot_is_long):
    register.simple_tag(_tag)


@register.simple_tag(takes_context=True)
def page_address(context: template.Context) -> str:
    """Where a choice that is made on this page leads back to."""
    return addresses.page_address(context["request"])


@register.simple_tag
@lru_cache(maxsize=200)
def icon(name: str, small: bool = False) -> SafeString:
    """The symbol of `_icons.html` with this name."""
    return format_html('<svg class="{}" aria-hidden="true"><use href="#{}"/></svg>', "i i-s" if small else "i", name)


@register.simple_tag
def state(value: str, pill: bool = False) -> SafeString:
    """The state's shape and word."""
    return _state(value, pill, get_language())


@lru_cache(maxsize=100)
def _state(value: str, pill: bool, _language: str | None) -> SafeString:
    found = State(value)
    pill_class = " state-pill" if pill else ""
    return format_html('<span class="state state-{}{}">{}{}</span>', found.value, pill_class, icon(f"s-{found.value}"), STATE_LABELS[found])


@register.simple_tag
@lru_cache(maxsize=20)
def priority(value: int) -> SafeString:
    """The priority in its box; 7 to 9 are filled."""
    kind = " prio-high" if value >= 7 else " prio-low" if value <= 3 else ""
    return format_html('<span class="prio{}">{}</span>', kind, value)


@register.filter
def about(number: int) -> str:
    """A count with separators; an estimate is rounded and says so.

    >>> from jobs.store.counts import Estimate, Number
    >>> about(Number(1234)), about(Estimate(53_942))
    ('1,234', 'about 53,900')
    """
    return _("about %(number)s") % {"number": _rounded(number)} if getattr(number, "estimated", False) else f"{number:,}"


@register.filter
def about_large(number: int) -> SafeString:
    """The same where the digits are large: the word is not."""
    if not getattr(number, "estimated", False):
        return format_html("{}", about(number))
    before, after = _("about %(number)s").split("%(number)s")
    small = '<span class="counts-about">{}</span>'
    return format_html(f"{small}{{}}{small}", before, _rounded(number), after)


def _rounded(number: int) -> str:
    unit = 10 ** max(len(str(int(number))) - 3, 0)
    return f"{round(number / unit) * unit:,}"


@register.filter
def breakable(name: str) -> str:
    """A dotted name that a narrow column breaks behind a sign, not within a word."""
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in re.findall(r"[^._]*[._]+|[^._]+", name)))


@register.simple_tag
def moment(value: datetime | None, seconds: bool = True) -> SafeString | str:
    """The time in the visitor's zone, with its date unless that is today; the exact one in `datetime`."""
    if value is None:
        return ""
    text = clock_time(value, seconds=seconds)
    return format_html('<time datetime="{}">{}</time>', local(value).isoformat(timespec="milliseconds"), text)


@register.simple_tag
def job_duration(job: Any) -> str:
    """How long the job's last run took, or takes until now."""
    if job.started_at is None or job.status == "pending":
        return ""
    took = ((job.finished_at or reckoned()) - job.started_at).total_seconds()
    return times.seconds(took) if job.finished_at and 0 <= took < 10 else clock(took)  # "0:00" would say nothing


@register.filter
def visible(text: str) -> str:
    """The text without characters that turn its surroundings round; for titles, where no bdi can stand.

    >>> visible("a\\u202eb")
    'ab'
    """
    return HIDDEN.sub("", str(text))[:200]


@register.filter
def first_line(text: str) -> str:
    """The first line of an error, at most 300 characters, without secrets."""
    return own_failures.said(masking.text(next(iter(str(text).strip().splitlines()), "")))[:300]


@register.filter
def failure(text: str, length: int = 300) -> SafeString | str:
    """An error as "Class: message" in one line. The class does not count for a direction that is found by the text: a line that is too long
    is cut at the end of its message."""
    line = Truncator(first_line(text)).chars(length)
    error_class, colon, message = line.partition(": ")
    return format_html('<bdi dir="ltr">{}</bdi>: {}', error_class, message) if colon and error_class.isidentifier() else line


@register.filter
def failure_of(error: Any, length: int = 300) -> SafeString | str:
    """The same of an attempt, a dead letter or a group of them."""
    return failure(f"{error.error_class}: {error.message.strip()}", length)


@register.filter
def masked(text: str) -> str:
    """An error or traceback without secrets."""
    return masking.text(str(text))


@register.inclusion_tag("jobs/_traceback.html")
def traceback(text: str) -> dict[str, Any]:
    """A traceback without secrets: the project's own frames stand out, those of the libraries are folded unless all are theirs."""
    parts = tracebacks.split(masking.text(text))
    return {"parts": parts, "last": tracebacks.last_own(parts)}


@register.filter
def label(job: Any) -> str:
    """What the job is called: its name, else its task; no more of it than `enqueue()` takes, for a row may have more."""
    return Truncator(job.name or job.task).chars(NAME_LIMIT) or _("(no name)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All that the line of a job in the list shows, and for whom."""

    pk: int
    state: str
    label: str
    error: str
    task: str
    queue: str
    priority: int
    attempts: int
    took: str
    created_at: datetime
    language: str | None
    zone: str
    root: str  # of its link, where a project is reached by several
    today: date  # there the day of a time is not named
    pick: bool


@register.simple_tag
def job_row(job: Any, pick: bool = False) -> SafeString:
    """The job's line in the list; `pick`: it can be chosen, by those who may act on it."""
    error = "" if job.status == "completed" else job.last_error.strip().partition("\n")[0][:LONG]
    return _job_row(
        Row(
            pk=job.pk, state=job.state.value, label=label(job), error=error, task=job.task, queue=job.queue, priority=job.priority,
            attempts=job.attempts, took=job_duration(job), created_at=job.created_at, language=get_language(),
            zone=timezone.get_current_timezone_name(), root=get_script_prefix(), today=local().date(), pick=pick,
        )
    )  # fmt: skip


@lru_cache(maxsize=1000)
def _job_row(row: Row) -> SafeString:
    """Written once: of a list that renews itself few lines change."""
    return render_to_string("jobs/_plain.html", {"part": "jobs/job/_row.html", "row": row})


@register.filter
def changes(act: Any) -> list[dict[str, Any]]:
    """What differs between before and after of an audit record, in words."""
    labels = {
        "status": _("State"),
        "priority": _("Priority"),
        "queue": _("Queue"),
        "cancel asked": _("Cancellation requested"),
        "entry": _("Entry"),
        "queues": _("Queues"),
        "job": _("Job"),
        "owner": _("Owner"),
        "snoozed until": _("Snoozed until"),
    }
    shown = [
        {"label": "" if SAID.get(act.verb) == key else labels.get(key, key), "old": _word(key, old), "new": _word(key, act.after.get(key))}
        for key, old in act.before.items()
        if key != "arguments" and (key != "cancel asked" or act.after)
    ]
    old, new = act.before.get("arguments", {}), act.after.get("arguments", {})
    return shown + [
        {"label": acts.argument_label(name), "old": acts.argument_text(name, old), "new": acts.argument_text(name, new)}
        for name in {**old, **new}
    ]


def _word(key: str, value: Any) -> str:
    if value is None:
        return _("are sent") if key == "snoozed until" else ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if key == "snoozed until":
        return clock_time(datetime.fromisoformat(value))
    if key == "owner" and not value:
        return _("nobody")
    if isinstance(value, list):
        return " ".join(map(str, value)) or "–"
    words: dict[Any, Any] = STATUS_LABELS if key == "status" else RESOLUTION_LABELS if key == "entry" else {}
    return str(words.get(value, value))


@register.filter
def notice_error(text: str) -> str:
    """Why no notice went out."""
    return _("no notice: ADMIN_EMAILS is empty") if text == "no ADMIN_EMAILS" else first_line(text)
