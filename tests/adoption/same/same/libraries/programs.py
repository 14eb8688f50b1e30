"""Programs with the smaller libraries."""

import os
import time

from celery.contrib.abortable import AbortableAsyncResult
from celery.result import AsyncResult
from celery_progress.backend import Progress
from celery_singleton import clear_locks
from django.core import mail

from same.notes import note, noted
from same.running import of, program

from . import tasks

T = 60


@program
def progress():
    result, seen = tasks.with_progress.delay(2), []
    for n in range(2):
        noted(result.id, n + 1)
        seen.append(Progress(AsyncResult(result.id)).get_info())
        note(f"go {result.id} {n}", 1)
    result.get(T)
    seen.append(Progress(AsyncResult(result.id)).get_info())
    for with_exc in (True, False):
        again = tasks.progress_and_retry.delay(with_exc)
        noted(again.id)
        end = time.monotonic() + T
        while again.state != "RETRY" and time.monotonic() < end:
            time.sleep(0.02)
        seen.append(of(Progress(AsyncResult(again.id)).get_info))
        again.get(T)
    failed = tasks.traced.delay("x", fail=True)
    of(failed.get, T)
    return [*seen, Progress(failed).get_info(), Progress(AsyncResult("nobody")).get_info()]


@program
def singleton():
    clear_locks(tasks.single.app)
    first, second, other = tasks.single.delay("a"), tasks.single.delay("a"), tasks.single.delay("b")
    found = [first.id == second.id, first.id == other.id]
    note("go a", 1), note("go b", 1)
    found += [each.get(T) for each in (first, second, other)]
    strict = tasks.single_strict.delay("c", other="fail")
    found.append(of(tasks.single_strict.delay, "c", other="another")["class"][0])
    note("go c", 1)
    found.append(of(strict.get, T)["class"][0])
    end = time.monotonic() + T  # the lock goes after the failure is told
    while isinstance(again := of(tasks.single_strict.delay, "c"), dict) and time.monotonic() < end:
        time.sleep(0.02)
    return [*found, again.get(T), len(noted("single", 4)), tasks.single("direct") if note("go direct", 1) is None else 0]


@program
def once():
    kind = os.environ["SAME"]  # celery-once has no prefix for its locks, and both kinds run on one Redis
    first = tasks.once.delay(f"{kind} one", other=1)
    found = [of(tasks.once.delay, f"{kind} one", other=2)["class"][0], type(of(tasks.once.delay, f"{kind} two")).__name__]
    note(f"go {kind} one", 1), note(f"go {kind} two", 1)
    found.append(first.get(T) == f"{kind} one")
    end = time.monotonic() + T
    while isinstance(again := of(tasks.once.delay, f"{kind} one"), dict) and time.monotonic() < end:
        time.sleep(0.02)
    found.append(again.get(T) == f"{kind} one")
    note(f"go {kind} g", 1), note(f"go again {kind}", 1)
    graceful, retried = tasks.once_graceful.delay(f"{kind} g"), tasks.once_graceful.delay(f"again {kind}")
    return [*found, graceful.get(T) == f"{kind} g", retried.get(T) == f"again {kind}"]


@program
def abortable():
    result = tasks.abortable.delay()
    noted(result.id)
    handle = AbortableAsyncResult(result.id)
    found = [handle.is_aborted(), handle.state]
    handle.abort()
    found += [handle.is_aborted(), handle.state]
    end = time.monotonic() + T
    while AsyncResult(result.id).state != "SUCCESS" and time.monotonic() < end:
        time.sleep(0.02)
    waiting = tasks.abortable.apply_async(countdown=1)
    AbortableAsyncResult(waiting.id).abort()
    return [*found, AsyncResult(result.id).result, waiting.get(T)]


@program
def emails():
    sent = mail.send_mail("hello", "body", "a@example.org", ["b@example.org"], html_message="<b>body</b>")
    rich = mail.EmailMessage("rich", "text", "a@example.org", ["c@example.org"], headers={"X-Mine": "1"})
    rich.attach("a.txt", "content", "text/plain")
    found = [[result.get(T) for result in results] for results in (sent, rich.send())]
    many = mail.get_connection().send_messages([mail.EmailMessage(f"m{n}", "t", "a@e.org", ["d@e.org"]) for n in range(12)])
    refused = mail.send_mail("refused once", "body", "a@e.org", ["b@e.org"])
    found += [[result.get(T) for result in many], len(refused)]
    return [*found, sorted(noted("mail", 14), key=str)]
