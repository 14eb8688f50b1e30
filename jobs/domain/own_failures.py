"""Failures that we make ourselves: stored as an English sentence, as tasks' errors are, and read in the language of whoever looks."""

import re
from functools import cache
from typing import Final

from django.utils.translation import gettext

_sentences: Final[list[str]] = []


def gettext_noop(sentence: str) -> str:
    """Marks one of our sentences for translation. Django's would read the settings, and the engine is imported before there are any."""
    _sentences.append(sentence)
    return sentence


OUTCOME_CAME_LATE: Final = gettext_noop("%(error)s (Its outcome arrived later and was refused.)")  # first: the others may stand within it
WORKER_DIED: Final = gettext_noop("The worker died while it ran the job.")
TIME_LIMIT: Final = gettext_noop("The job ran longer than its time limit.")
WORKER_STOPPED: Final = gettext_noop("The worker was stopped.")
ASKED_TO_STOP: Final = gettext_noop("The job was given back after it was asked to stop.")
UNKNOWN_TASK: Final = gettext_noop("No worker knows the task %(task)s")
NO_OUTCOME: Final = gettext_noop("The task ended in state %(state)s without an outcome.")
UNWRITABLE: Final = gettext_noop("The run has ended, but PostgreSQL refused to record its outcome.")
WITHOUT_END: Final = gettext_noop("The run has ended without an outcome; the log of its worker may say why.")
REPLACEMENT_ENDED: Final = gettext_noop("What replaced the job has ended, and nothing is left that would end this job.")
UNREADABLE: Final = gettext_noop("The arguments cannot be read: %(error)s")
UNREADABLE_OPTIONS: Final = gettext_noop("The options of the job cannot be read: %(error)s")
NO_OPTIONS: Final = gettext_noop("The options of the job are not those of a Celery message.")
TOO_LONG_FOR_REDIS: Final = gettext_noop("The arguments are longer than Redis takes in one message (512 MB).")
NO_LIST: Final = gettext_noop("The positional arguments must be a list.")
NO_NAMES: Final = gettext_noop("The named arguments must be an object with text keys.")
STRATEGY: Final = gettext_noop("The task has a Strategy of its own (celery-batches), but a job is one call of one task.")
MANUAL: Final = gettext_noop("Turned into a failure by %(name)s to test the Dead Letter Queue")
TOO_LONG: Final = gettext_noop("the job ran longer than %(seconds)s s")
CANCELLED: Final = gettext_noop("The job was cancelled while it ran.")
REVOKED: Final = gettext_noop("Revoked: revoked")
TERMINATED: Final = gettext_noop("Revoked: terminated")
EXPIRED: Final = gettext_noop("Revoked: expired")
ENDED_ITSELF: Final = gettext_noop("the task ended itself")
ASKED_FOR_ANOTHER_RUN: Final = gettext_noop("the task asked to be run again")
NO_JSON: Final = gettext_noop("The task returned a value that is not JSON: %(error)s")
LONG_RESULT: Final = gettext_noop("The task returned a value of %(length)s characters of JSON; a row takes %(most)s")
HEADER_FAILED: Final = gettext_noop("Dependency %(id)s raised %(error)s")  # of a chord, as Celery says it; so are the next two
NOT_JOINED: Final = gettext_noop("Join error: %(error)s")
NO_BODY: Final = gettext_noop("Callback error: %(error)s")
# Of errors without a text of their own (`jobs.domain.errors`).
WRONG: Final = gettext_noop("Something about this job is wrong.")
HOPELESS: Final = gettext_noop("This job can never succeed; it goes to the dead letter queue without another attempt.")
EXIT: Final = gettext_noop("The task asked its process to exit (SystemExit).")
NO_EXCEPTION: Final = gettext_noop("The task ended by raising something that is not an Exception.")
NOT_COMMITTED: Final = gettext_noop(
    "get() inside the transaction that enqueued the job would wait forever: the job is not committed yet. Call it after the commit."
)
FAILED: Final = gettext_noop("The job failed for good.")
# Of the built-in tasks.
ON_PURPOSE: Final = gettext_noop("This job fails on purpose.")
WRONG_SECONDS: Final = gettext_noop("seconds must be a number from 0 to 86400")
ONE_OF_THE_FAILURES: Final = gettext_noop("failure %(number)s of %(failures)s")
WRONG_METHOD: Final = gettext_noop("the method must be one of %(methods)s")
WRONG_SCHEME: Final = gettext_noop("the address must begin with http:// or https://")
NO_URL: Final = gettext_noop("the address %(address)s cannot be read")
PRIVATE_ADDRESS: Final = gettext_noop("the address %(address)s is private; JOBS_ALLOW_PRIVATE_ADDRESSES would allow it")
ANSWERED: Final = gettext_noop("the server answered %(status)s: %(body)s")
WRONG_HEADER: Final = gettext_noop(
    "the header %(name)s cannot be sent: its name or value has line breaks, leading spaces or characters outside Latin-1"
)
NO_RECIPIENT: Final = gettext_noop("an email needs an address")
NO_ADDRESS: Final = gettext_noop("%(address)s is not an email address")
LONG_SUBJECT: Final = gettext_noop("a subject must be one line")
NOT_ALLOWED: Final = gettext_noop("the command %(name)s is not in JOBS_ALLOWED_COMMANDS")
COMMAND_ENDED: Final = gettext_noop("the command ended with code %(code)s")

_DEEP: Final = 4  # levels of sentences within sentences: a late outcome of a failed chord's task
_VALUE: Final = re.compile(r"%\((\w+)\)s")


def _pattern(sentence: str) -> str:
    fixed, *rest = _VALUE.split(sentence)
    values = zip(rest[::2], rest[1::2], strict=True)
    return re.escape(fixed) + "".join(f"(?P<{name}>.*){re.escape(text)}" for name, text in values)


@cache
def _stored() -> list[tuple[str, re.Pattern[str]]]:
    """Each as a message, or as a job's last error, which the class of the error stands before; made by who reads one."""
    return [(sentence, re.compile(rf"(?P<prefix>(?:\w+: )?){_pattern(sentence)}", re.DOTALL)) for sentence in _sentences]


def said(text: str, deep: int = _DEEP) -> str:
    """An error's text in the language of now where it is one of ours, isolated from the direction of its surroundings; else as it is.

    So are sentences within it, `deep` levels of them: a task may say one of ours within another, a thousand times.
    """
    for sentence, stored in _stored() if deep else ():
        if found := stored.fullmatch(text):
            values = found.groupdict()
            prefix = values.pop("prefix")
            told = gettext(sentence)
            if values:
                told %= {name: f"\u2068{said(value, deep - 1)}\u2069" for name, value in values.items()}
            return f"{prefix}\u2068{told}\u2069"
    return text
