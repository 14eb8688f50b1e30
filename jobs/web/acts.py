"""What a bulk action is called before and while it goes on: the verb with its number, the same on headings, lists and buttons."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import masking
from jobs.models import Batch
from jobs.models.audit import Verb
from jobs.web.labels import isolated
from jobs.web.values import one_line


def act_text(batch: Batch, number: int | None = None) -> str:
    """The verb for `number` jobs of the batch, all of them when it is None."""
    number = batch.total if number is None else number
    return _text(batch.what, number) % {"number": f"{number:,}"}


def argument_label(name: str) -> str:
    """What the value of this argument stands behind."""
    return _("Argument %(name)s") % {"name": isolated(name)}


def argument_text(name: str, given: Mapping[str, Any]) -> str:
    """The value that is given for this argument, without secrets; a dash where none is."""
    return one_line(masking.argument(name, given[name])) if name in given else "–"


def options(batch: Batch) -> list[tuple[str, str]]:
    """What was asked for besides: label and value."""
    labels = {"queue": _("Queue"), "priority": _("Priority"), "note": _("Note"), "reason": _("Reason")}
    given, arguments = batch.options, batch.options.get("arguments") or {}
    shown = [(argument_label(name), argument_text(name, arguments)) for name in arguments]
    return shown + [(label, str(given[name])) for name, label in labels.items() if given.get(name) not in ("", None)]


def _text(verb: Verb, number: int) -> str:
    match verb:
        case Verb.CANCEL:
            return ngettext("Cancel %(number)s job", "Cancel %(number)s jobs", number)
        case Verb.REPROCESS:
            return ngettext("Reprocess %(number)s job", "Reprocess %(number)s jobs", number)
        case Verb.PRIORITY:
            return ngettext("Change the priority of %(number)s job", "Change the priority of %(number)s jobs", number)
        case Verb.QUEUE:
            return ngettext("Move %(number)s job to another queue", "Move %(number)s jobs to another queue", number)
        case Verb.DELETE:
            return ngettext("Delete %(number)s job", "Delete %(number)s jobs", number)
        case Verb.RESOLVE:
            return ngettext("Mark %(number)s entry as resolved", "Mark %(number)s entries as resolved", number)
        case Verb.RESTORE:
            return ngettext("Restore %(number)s cancelled job", "Restore %(number)s cancelled jobs", number)
    raise ValueError(verb)
