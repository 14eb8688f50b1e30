"""What will happen to the job that is being made: where it waits, when it is tried again, and how code would ask for it."""

import inspect
import json
from typing import Any, Final

from celery import current_app
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.conf import configuration, notice_recipients
from jobs.store import queues, stats
from jobs.web.forms import JobForm
from jobs.web.labels import at_most, ltr
from jobs.web.signatures import about
from jobs.web.times import span

SHOWN: Final = 3  # pauses that are named


def forecast(name: str, task: Any, form: JobForm, signature: inspect.Signature) -> dict[str, Any]:
    """For the page: `about` the task, the sentences of `events`, the `queues` to choose from, the call as `code`."""
    queue, retries, priority = (_given(form, field) for field in ("queue", "max_retries", "priority"))
    return {
        "about": about(task),
        "events": [
            ("s-queued", _waits(queue)),
            ("s-retrying", _retried(int(retries) if retries.isdecimal() and len(retries) < 10 else 0)),
        ],
        "queue_names": sorted({*queues.names(), current_app.conf.task_default_queue}),
        "code": _code(name, signature, queue, priority),
    }


def _given(form: JobForm, name: str) -> str:
    """What stands in the field; where it is refused, what stood there at first: a sentence about a wrong value would be none."""
    field = form[name]
    return str((field.initial if field.errors else field.value()) or "")


def _waits(queue: str) -> str:
    if not stats.is_served(queue):
        return _("When it is due, it waits in %(queue)s, which no worker is serving now.") % {"queue": ltr(queue)}
    number = queues.waiting(queue)
    text = ngettext(
        "When it is due, it waits in %(queue)s, where %(number)s job is waiting now; higher priorities run first.",
        "When it is due, it waits in %(queue)s, where %(number)s jobs are waiting now; higher priorities run first.",
        number,
    )
    return text % {"queue": ltr(queue), "number": at_most(number, queues.MOST)}


def _retried(retries: int) -> str:
    if not retries and not notice_recipients():
        return _("If it fails, it goes to the dead letter queue; nobody is notified, because ADMIN_EMAILS is empty.")
    if not retries:
        return _("If it fails, it goes to the dead letter queue, and a notice is emailed.")
    conf = configuration()
    pauses = [span(min(conf.retry_backoff * 2**number, conf.retry_backoff_max)) for number in range(min(retries, SHOWN))]
    listed = _(", then ").join(pauses) + (" …" if retries > SHOWN else "")
    text = ngettext(
        "If it fails, it is retried up to %(number)d time, after about %(pauses)s; then it goes to the dead letter queue.",
        "If it fails, it is retried up to %(number)d times, after about %(pauses)s; then it goes to the dead letter queue.",
        retries,
    )
    return text % {"number": retries, "pauses": listed}


def _code(name: str, signature: inspect.Signature, queue: str, priority: str) -> str:
    plain = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.default is p.empty]
    named = ", ".join(f'"{p.name}": …' for p in plain)
    lines = [json.dumps(name)]
    lines += [f"kwargs={{{named}}}"] if named else []
    lines += [f"queue={json.dumps(queue, ensure_ascii=False)}"] if queue else []
    lines += [f"priority={priority}"] if priority.isdecimal() else []
    return "enqueue(\n" + "".join(f"    {line},\n" for line in lines) + ")"
