"""What those settings and hooks come to."""

import time
from datetime import UTC, datetime, timedelta

from celery import chord, current_app
from celery.result import AsyncResult

from .. import tasks as plain
from ..notes import noted
from ..running import of, program
from . import tasks

T = 60
app = current_app


@program
def hooks_of_the_worker():
    result = tasks.says.delay("pear")
    return [
        noted("tenant"),
        noted("setup_logging"),
        result.get(T),
        noted("logged same.options.tasks"),
        noted(f"loader {result.id}"),
        "worker_init" in noted("loader"),
        type(app.loader).__name__,
        sorted(option.name for option in app.user_options["worker"]),
    ]


@program
def missing_queues():
    return [of(plain.add.apply_async, (1, 1), queue="never-declared"), plain.add.apply_async((1, 1), queue="routed").get(T)]


@program
def no_remote_control():
    return [app.control.inspect(timeout=1).ping(), app.control.ping(timeout=1), app.control.broadcast("double", reply=True, timeout=1)]


@program
def results_that_expire():
    result, unread = plain.add.delay(1, 2), tasks.fails_unread.delay()
    found = [result.get(T), app.conf.result_expires, app.backend.expires]
    end = time.monotonic() + T
    while AsyncResult(unread.id).state != "FAILURE" and time.monotonic() < end:
        time.sleep(0.05)
    return [*found, AsyncResult(unread.id).state, str(AsyncResult(unread.id).result), app.conf.result_chord_join_timeout]


@program
def chords_with_a_join_timeout():
    return [
        chord([plain.add.s(n, 1) for n in range(4)], plain.xsum.s()).delay().get(T),
        of(chord([plain.add.s(1, 1), plain.fail.s()], plain.xsum.s()).delay().get, T)["class"],
    ]


@program
def priority_of_the_parent():
    result = tasks.priorities.apply_async((2,), priority=7)
    return [result.get(T), noted(f"priorities {result.id}", 3)]


@program
def expired_by_the_setting():
    late = plain.add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(seconds=9))
    return [of(late.get, T)["class"], late.state]


@program
def schedules_and_apps_of_the_caller():
    from celery.schedules import crontab, schedule, solar

    kind = type(app._get_current_object())
    other, third = (kind(name, set_as_current=False, broker=app.conf.broker_url) for name in ("other", "third"))

    @other.task(shared=False, name="own")
    def own():
        return "own"

    @other.task(shared=True, name="of all")
    def of_all():
        return "of all"

    other.add_periodic_task(crontab(minute="*/5"), own.s(), name="each five minutes", queue="routed")
    other.add_periodic_task(schedule(7.5), own.s(), expires=3)
    return [
        of(solar, "sunrise", -37.8, 144.9)["text"],
        ["own" in each.tasks for each in (other, third)],
        ["of all" in each.tasks for each in (other, third)],
        {name: [str(entry["schedule"]), entry["options"]] for name, entry in other.conf.beat_schedule.items()},
        own.delay.__name__,
        own(),
        type(own.backend).__mro__[-2].__name__,
        of(own.apply().get),
    ]
