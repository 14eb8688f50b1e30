"""What an action did, said to the person who asked for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.domain.actors import Actor, Source
from jobs.refusals import said

SHOWN = 5  # numbers named for each reason


class Report(Protocol):
    """What `jobs.control` and `jobs.dead_letters` return."""

    @property
    def done(self) -> list[int]: ...

    @property
    def refused(self) -> Mapping[int, str]: ...


def done_text(action: str, number: int) -> str:
    """A sentence that says for how many the action succeeded."""
    match action:
        case "cancel":
            text = ngettext("%(number)s job was cancelled.", "%(number)s jobs were cancelled.", number)
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
        case "notify":
            text = ngettext("The notice for %(number)s entry goes out now.", "The notices for %(number)s entries go out now.", number)
        case _:
            raise ValueError(action)
    return text % {"number": f"{number:,}"}


def refused_texts(report: Report) -> list[str]:
    """One sentence for each reason: how many were left, which, and why."""
    texts = []
    for reason, number in Counter(report.refused.values()).most_common():
        ids = [str(job) for job, other in report.refused.items() if other == reason]
        names = ", ".join(ids[:SHOWN]) + (" …" if len(ids) > SHOWN else "")
        sentence = ngettext(
            "%(number)s was left as it is (%(names)s): %(reason)s", "%(number)s were left as they are (%(names)s): %(reason)s", number
        )
        texts.append(sentence % {"number": f"{number:,}", "names": names, "reason": said(reason)})
    return texts


def page_actor(request: HttpRequest) -> Actor:
    """The person behind a request to the desk."""
    return Actor(name=request.user.get_username(), source=Source.PAGE)


def admin_actor(request: HttpRequest) -> Actor:
    """The person behind a request to the admin."""
    return Actor(name=request.user.get_username(), source=Source.ADMIN)


def say(request: HttpRequest, action: str, report: Report) -> None:
    """Add the messages of a report to the next page."""
    if report.done:
        messages.success(request, done_text(action, len(report.done)))
    for text in refused_texts(report):
        messages.warning(request, text)
    if not report.done and not report.refused:
        messages.warning(request, _("Nothing was selected."))


def say_groups(request: HttpRequest, action: str, done: Sequence[str]) -> None:
    """Add the message of an act on error groups to the next page."""
    number = len(done)
    match action:
        case "own":
            text = ngettext("You look after %(number)s error now.", "You look after %(number)s errors now.", number)
        case "snooze":
            text = ngettext("The notices of %(number)s error are snoozed.", "The notices of %(number)s errors are snoozed.", number)
        case "wake":
            text = ngettext("The notices of %(number)s error go out again.", "The notices of %(number)s errors go out again.", number)
        case _:
            raise ValueError(action)
    if done:
        messages.success(request, text % {"number": f"{number:,}"})
    else:
        messages.warning(request, _("Nothing had to be changed."))
