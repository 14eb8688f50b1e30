"""Failures that we make ourselves: stored as an English sentence, as tasks' errors are, and read in the language of whoever looks."""

import re
from functools import cache
from typing import Final

from django.utils.translation import gettext


def gettext_noop(sentence: str) -> str:
    """Marks a sentence for translation. Django's would read the settings, and the engine is imported before there are any."""
    return sentence


WORKER_DIED: Final = gettext_noop("The worker died while it ran the job.")
TIME_LIMIT: Final = gettext_noop("The job ran longer than its time limit.")
WORKER_STOPPED: Final = gettext_noop("The worker was stopped.")
ASKED_TO_STOP: Final = gettext_noop("The job was given back after it was asked to stop.")
UNKNOWN_TASK: Final = gettext_noop("No worker knows the task %(task)s")
NO_OUTCOME: Final = gettext_noop("The task ended in state %(state)s without an outcome.")
UNWRITABLE: Final = gettext_noop("The run has ended, but PostgreSQL refused to take its end.")
REPLACEMENT_ENDED: Final = gettext_noop("What the job was replaced by has ended, and nothing is left that would end this job.")
UNREADABLE: Final = gettext_noop("The arguments cannot be read: %(error)s")
UNREADABLE_OPTIONS: Final = gettext_noop("The options of the job cannot be read: %(error)s")
NO_OPTIONS: Final = gettext_noop("The options of the job are not those of a Celery message.")
NO_LIST: Final = gettext_noop("The positional arguments must be a list.")
NO_NAMES: Final = gettext_noop("The named arguments must be an object with text keys.")
STRATEGY: Final = gettext_noop("The task has a Strategy of its own (celery-batches); a job is one call of one task.")
MANUAL: Final = gettext_noop("Turned into a failure by %(name)s to try the Dead Letter Queue")
# Of the built-in tasks.
WRONG_SECONDS: Final = gettext_noop("seconds must be a number from 0 to 86400")
ONE_OF_THE_FAILURES: Final = gettext_noop("failure %(number)s of %(failures)s")
WRONG_METHOD: Final = gettext_noop("the method must be one of %(methods)s")
WRONG_SCHEME: Final = gettext_noop("the address must begin with http:// or https://")
NO_URL: Final = gettext_noop("the address %(address)s cannot be read")
PRIVATE_ADDRESS: Final = gettext_noop("the address %(address)s is private; JOBS_ALLOW_PRIVATE_ADDRESSES would allow it")
ANSWERED: Final = gettext_noop("the server answered %(status)s: %(body)s")
NO_RECIPIENT: Final = gettext_noop("an e-mail needs an address")
NO_ADDRESS: Final = gettext_noop("%(address)s is not an e-mail address")
LONG_SUBJECT: Final = gettext_noop("a subject must be one line")
NOT_ALLOWED: Final = gettext_noop("the command %(name)s is not in JOBS_ALLOWED_COMMANDS")
COMMAND_ENDED: Final = gettext_noop("the command ended with code %(code)s")

_SENTENCES: Final = [
    WORKER_DIED, TIME_LIMIT, WORKER_STOPPED, ASKED_TO_STOP, UNKNOWN_TASK, NO_OUTCOME, UNWRITABLE, REPLACEMENT_ENDED, UNREADABLE,
    UNREADABLE_OPTIONS, NO_OPTIONS, NO_LIST, NO_NAMES, STRATEGY, MANUAL, WRONG_SECONDS, ONE_OF_THE_FAILURES, WRONG_METHOD, WRONG_SCHEME,
    NO_URL, PRIVATE_ADDRESS, ANSWERED, NO_RECIPIENT, NO_ADDRESS, LONG_SUBJECT, NOT_ALLOWED, COMMAND_ENDED,
]  # fmt: skip
_VALUE: Final = re.compile(r"%\((\w+)\)s")


def _pattern(sentence: str) -> str:
    fixed, *rest = _VALUE.split(sentence)
    values = zip(rest[::2], rest[1::2], strict=True)
    return re.escape(fixed) + "".join(f"(?P<{name}>.*){re.escape(text)}" for name, text in values)


@cache
def _stored() -> list[tuple[str, re.Pattern[str]]]:
    """Each as a message, or as a job's last error, which the class of the error stands before; made by who reads one."""
    return [(sentence, re.compile(rf"(?P<prefix>(?:\w+: )?){_pattern(sentence)}", re.DOTALL)) for sentence in _SENTENCES]


def said(text: str) -> str:
    """An error's text in the language of now where it is one of ours, isolated from the direction of its surroundings; else as it is."""
    for sentence, stored in _stored():
        if found := stored.fullmatch(text):
            values = found.groupdict()
            prefix = values.pop("prefix")
            told = gettext(sentence) % {name: f"\u2068{value}\u2069" for name, value in values.items()} if values else gettext(sentence)
            return f"{prefix}\u2068{told}\u2069"
    return text
