"""Programs with the smaller libraries."""

import os
import subprocess
import sys
import tempfile
import time

from celery import current_app
from celery.contrib.abortable import AbortableAsyncResult
from celery.result import AsyncResult
from celery_progress.backend import Progress
from celery_singleton import clear_locks
from django.core import mail
from kombu import Queue

from same.notes import note, noted
from same.running import of, program

from . import tasks

T = 60
app = current_app


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
    note(f"go {result.id}", 1)
    end = time.monotonic() + T
    while AsyncResult(result.id).state != "SUCCESS" and time.monotonic() < end:
        time.sleep(0.02)
    waiting = tasks.abortable.apply_async(countdown=1)
    AbortableAsyncResult(waiting.id).abort()
    note(f"go {waiting.id}", 1)
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


@program
def redbeat():
    from celery.schedules import schedule
    from redbeat import RedBeatSchedulerEntry

    kind = os.environ["SAME"]
    entry = RedBeatSchedulerEntry("each", "same.libraries.tasks.ticks", schedule(0.5), args=[kind], app=app)
    entry.save()
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "celery",
        "-A",
        "same",
        "beat",
        "-S",
        "redbeat.RedBeatScheduler",
        "--max-interval",
        "1",
    ]
    with tempfile.TemporaryFile("w+") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            ticks = noted(f"ticks {kind}", 3, timeout=T)
        finally:
            process.terminate()
            process.wait(20)
        out.seek(0)
        assert ticks, out.read()[-1500:]
    kept = RedBeatSchedulerEntry.from_key(entry.key, app=app)
    found = [len(ticks) >= 3, ticks[0], kept.task, kept.total_run_count >= 3]
    kept.delete()
    return found


@program
def health():
    """django-health-check: its ping of the workers, with a queue that is read and one that is not."""
    from datetime import timedelta

    from health_check.contrib.celery import Ping

    found = [of(Ping(app=app, timeout=timedelta(seconds=3), limit=1).run)]
    before, app.conf.task_queues = app.conf.task_queues, [Queue("celery"), Queue("unread")]
    try:
        found.append(of(Ping(app=app, timeout=timedelta(seconds=3)).run)["class"][0])
    finally:
        app.conf.task_queues = before
    return found


@program
def exporter():
    """Counters of events, as exporters for Prometheus make them: app.events.State and Receiver."""
    from prometheus_client import CollectorRegistry, Counter

    counter = Counter("tasks", "of a kind", ["event"], registry=CollectorRegistry())
    state, ids = app.events.State(), [f"exported-{os.environ['SAME']}-{n}" for n in range(2)]

    def heard(event):
        state.event(event)
        if event.get("uuid") in ids and event["type"] != "task-sent":
            counter.labels(event["type"]).inc()

    def counted():
        return {sample.labels["event"]: sample.value for sample in counter.collect()[0].samples if sample.name == "tasks_total"}

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": heard})
        with receiver.consumer_context() as (own, _, _):
            end = time.monotonic() + T
            while not state.workers and time.monotonic() < end:  # a heartbeat: it is subscribed now
                of(own.drain_events, timeout=1)
            for id, fail in zip(ids, (False, True), strict=True):
                tasks.traced.apply_async(("x",), {"fail": fail}, task_id=id)
            while sum(counted().values()) < 6 and time.monotonic() < end:  # received, started and ended, of two
                of(own.drain_events, timeout=1)
    found = [state.tasks[id] for id in ids]
    return [counted(), [[task.state, task.name, task.worker is not None] for task in found], len(state.workers) >= 1]
