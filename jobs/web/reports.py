"""What an action did, said to the person who asked for it."""

from collections import Counter
from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.conf import notice_recipients
from jobs.control import Report
from jobs.domain.actors import Actor, Source
from jobs.models import DeadLetterQueue
from jobs.refusals import said
from jobs.store import stats
from jobs.web.labels import listed, ltr

SHOWN = 5  # numbers named for each reason


def done_text(action: str, number: int) -> str:
    """A sentence that says for how many the action succeeded."""
    match action:
        case "cancel":
            text = ngettext("%(number)s job was cancelled.", "%(number)s jobs were cancelled.", number)
        case "ask":
            text = ngettext(
                "%(number)s running job was asked to stop; it may still complete.",
                "%(number)s running jobs were asked to stop; they may still complete.",
                number,
            )
        case "restore":
            text = ngettext("%(number)s job was put back as it was.", "%(number)s jobs were put back as they were.", number)
        case "reprocess":
            text = ngettext("%(number)s job will run again.", "%(number)s jobs will run again.", number)
        case "priority":
            text = ngettext("The priority of %(number)s job was changed.", "The priority of %(number)s jobs was changed.", number)
        case "queue":
            text = ngettext("%(number)s job was moved to another queue.", "%(number)s jobs were moved to another queue.", number)
        case "fail":
            text = ngettext(
                "%(number)s job was moved to the dead letter queue.", "%(number)s jobs were moved to the dead letter queue.", number
            )
        case "delete":
            text = ngettext("%(number)s job was deleted.", "%(number)s jobs were deleted.", number)
        case "resolve":
            text = ngettext("%(number)s entry was marked as resolved.", "%(number)s entries were marked as resolved.", number)
        case "reopen":
            text = ngettext("%(number)s entry is open again.", "%(number)s entries are open again.", number)
        case "notify":
            text = ngettext(
                "The notice for %(number)s entry is being sent now.", "The notices for %(number)s entries are being sent now.", number
            )
        case _:
            raise ValueError(action)
    return text % {"number": f"{number:,}"}


def nobody_text(number: int) -> str:
    """A sentence that says that the notices of so many entries reach nobody, and how that changes."""
    text = ngettext(
        "Nobody receives the notice for %(number)s entry: ADMIN_EMAILS is empty."
        " Add addresses to it, restart the workers, then send it again.",
        "Nobody receives the notices for %(number)s entries: ADMIN_EMAILS is empty."
        " Add addresses to it, restart the workers, then send them again.",
        number,
    )
    return text % {"number": f"{number:,}"}


def refused_texts(report: Report, *, entries: bool = False) -> list[str]:
    """One sentence for each reason: how many were left, which, and why. `entries`: the report is about dead letters; people know their jobs
    by number, not them."""
    jobs = dict(DeadLetterQueue.objects.filter(pk__in=report.refused).values_list("pk", "job_id")) if entries else {}
    texts = []
    for reason, number in Counter(report.refused.values()).most_common():
        ids = [id for id, other in report.refused.items() if other == reason]
        if entries:
            which = {"jobs": _jobs(list(dict.fromkeys(jobs[id] for id in ids if id in jobs)))}
            sentence = ngettext(
                "%(number)s entry was left as it is%(jobs)s. %(reason)s",
                "%(number)s entries were left as they are%(jobs)s. %(reason)s",
                number,
            )
        else:
            which = {"names": _names(ids)}
            sentence = ngettext(
                "Job %(names)s was left as it is. %(reason)s", "%(number)s jobs were left as they are (%(names)s). %(reason)s", number
            )
        texts.append(sentence % {"number": f"{number:,}", "reason": said(reason, number), **which})
    return texts


def _jobs(numbers: Sequence[int]) -> str:
    """Which they are, in brackets; "" for none, when the entries are gone with their jobs."""
    text = ngettext("job %(names)s", "jobs %(names)s", len(numbers)) % {"names": _names(numbers)}
    return f" ({text})" if numbers else ""


def _names(numbers: Sequence[int]) -> str:
    return listed(numbers[:SHOWN]) + (" …" if len(numbers) > SHOWN else "")


def page_actor(request: HttpRequest) -> Actor:
    """The person behind a request to the desk."""
    return Actor(name=request.user.get_username(), source=Source.PAGE)


def admin_actor(request: HttpRequest) -> Actor:
    """The person behind a request to the admin."""
    return Actor(name=request.user.get_username(), source=Source.ADMIN)


def say(request: HttpRequest, action: str, report: Report, *, entries: bool = False) -> None:
    """Add the messages of a report to the next page; `entries`: it is about dead letters."""
    for name, number in ((action, len(report.done) - len(report.asked)), ("ask", len(report.asked))):
        if number and name == "notify" and not notice_recipients():
            messages.warning(request, nobody_text(number))
        elif number:
            messages.success(request, done_text(name, number))
    for text in refused_texts(report, entries=entries):
        messages.warning(request, text)
    if not report.done and not report.refused:
        messages.warning(request, _("Nothing was selected."))


def warn_of_queue(request: HttpRequest, queue: str) -> None:
    """Say on the next page when no worker serves the queue that jobs were moved to."""
    if not stats.is_served(queue):
        text = _("No worker is serving the queue “%(queue)s” now: jobs wait in it until one does.")
        messages.warning(request, text % {"queue": ltr(queue)})


def say_groups(request: HttpRequest, action: str, done: Sequence[str]) -> None:
    """Add the message of an act on error groups to the next page."""
    number = len(done)
    match action:
        case "own":
            text = ngettext("You are now the owner of %(number)s error.", "You are now the owner of %(number)s errors.", number)
        case "snooze":
            text = ngettext("The notices of %(number)s error are snoozed.", "The notices of %(number)s errors are snoozed.", number)
        case "wake":
            text = ngettext("The notices of %(number)s error are sent again.", "The notices of %(number)s errors are sent again.", number)
        case _:
            raise ValueError(action)
    if done:
        messages.success(request, text % {"number": f"{number:,}"})
    else:
        messages.warning(request, _("No changes were needed."))
