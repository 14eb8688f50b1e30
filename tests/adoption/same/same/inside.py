"""What happens inside tasks."""

import time

from celery import current_app

from . import tasks
from .notes import note, noted
from .running import of, program

T = 60
app = current_app


def ended(result):
    """How it ended, as who asks sees it."""
    found = of(result.get, T)
    return [
        found,
        result.state,
        result.ready(),
        result.successful() if result.ready() else None,
        result.failed(),
        bool(result.traceback),
        type(result.info).__name__,
    ]


@program
def retry():
    plain, moved = tasks.retries.delay(2), tasks.retries.apply_async((1,), {"queue": "routed"})
    more, fewer = tasks.retries.delay(5, max_retries=5, countdown=0), tasks.retries.delay(5, max_retries=1, countdown=0)
    found = [ended(plain), noted(plain.id), ended(moved), noted(moved.id), ended(more), ended(fewer), noted(fewer.id)]
    return [
        *found,
        ended(tasks.retries.delay(9, countdown=0)),
        ended(tasks.retries_exc.delay()),
        ended(tasks.retries_exc.delay(False)),
        ended(tasks.retries_outside.delay()),
    ]


@program
def retry_changes_the_call():
    quiet = tasks.retries_quietly.delay()
    return [
        tasks.retries_changed.delay([0]).get(T),
        noted(quiet.id),
        tasks.catches_max.delay().get(T),
        tasks.catches_max.apply_async(kwargs={}).get(T),
    ]


@program
def autoretry():
    sent = {kind: tasks.auto.delay(kind) for kind in ("once", "always", "broken", "other")}
    kwargs, backs = tasks.auto_kwargs.delay(), tasks.backs_off.delay()
    found = {kind: [ended(result), noted(result.id)] for kind, result in sent.items()}
    gaps = (ended(backs), noted(backs.id, 5))[1]
    return [found, ended(kwargs), noted(kwargs.id), len(gaps), ended(tasks.expected.delay())]


@program
def state_between_two_tries():
    result = tasks.retries.delay(1, countdown=3)
    noted(result.id)
    end = time.monotonic() + T
    while result.state != "RETRY" and time.monotonic() < end:
        time.sleep(0.02)
    seen = [result.state, type(result.result).__name__, str(result.result), result.ready(), type(result.info).__name__]
    return [seen, ended(result)]


@program
def errors():
    kinds = "picky unpicklable cause group unicode empty local timeout ValueError KeyError".split()
    kinds += "ZeroDivisionError AssertionError OSError NotImplementedError".split()
    return {kind: ended(tasks.raises.delay(kind)) for kind in kinds} | {"own": ended(tasks.fail.delay())}


@program
def values():
    kinds = "none tuple intkeys datetime naive date decimal uuid bytes unicode float big bool nested text".split()
    return {kind: [of(tasks.returns.delay(kind).get, T)] for kind in kinds}


@program
def values_that_are_not_json():
    found = {}
    for kind in ("object", "set", "delta", "generator", "exception"):
        result = tasks.returns_unencodable.delay(kind)
        answer = of(result.get, T)
        found[kind] = [answer["class"][0] if isinstance(answer, dict) and "class" in answer else answer, result.state]
    return found


@program
def states_by_hand():
    result = tasks.reports.delay(2)
    noted(result.id, 1)
    seen = [[result.state, result.info, result.result, result.ready()]]
    note(f"go {result.id} 0", 1)
    noted(result.id, 2)
    seen.append([result.state, result.info])
    note(f"go {result.id} 1", 1)
    other = tasks.reports_other.delay("free-id")
    other.get(T)
    app.backend.store_result("by-caller", [1, 2], "SUCCESS")
    app.backend.store_result("failed-by-caller", ValueError("v"), "FAILURE")
    kept = [app.AsyncResult(name) for name in ("free-id", "free-id-done", "by-caller", "failed-by-caller")]
    return [seen, ended(result), [[each.state, each.info] for each in kept], kept[2].get(T), of(kept[3].get, T)]


@program
def ignore_and_reject():
    state, again = tasks.ignores.delay("MINE"), tasks.rejects_once.delay()
    found = [again.get(T), noted(again.id), again.state]
    end = time.monotonic() + T
    while state.state != "MINE" and time.monotonic() < end:
        time.sleep(0.02)
    return [*found, state.state, state.info]


@program
def replace():
    kinds = ("sig", "chain", "group", "chord", "fail", "self", "nothing")
    found = {kind: of(tasks.replaces.delay(kind, 1).get, T) for kind in kinds}
    chained = (tasks.add.s(1, 1) | tasks.replaces.s(1) if False else tasks.replaces.s("chain", 3) | tasks.mul.s(2)).delay()
    grouped = (tasks.replaces.s("sig", 1) | tasks.add.s(1)).delay()
    return [found, of(chained.get, T), of(grouped.get, T)]


@program
def hooks():
    found = []
    for kind in ("ok", "fail", "retry"):
        result = tasks.hooked.delay(kind, word="x")
        found.append([ended(result), noted(result.id, {"ok": 4, "fail": 4, "retry": 7}[kind])])
    direct = of(tasks.hooked, "ok")
    return [found, direct, tasks.hooked.apply(("ok",)).get()]


@program
def signals_in_the_worker():
    found = {}
    for name, result, count in (
        ("ok", tasks.add.delay(1, 2), 4),
        ("failed", tasks.fail.delay(), 4),
        ("retried", tasks.retries.delay(1), 8),
        ("ignored", tasks.ignores.delay("I"), 3),
        ("unknown", app.send_task("same.tasks.unknown-one"), 1),
        ("expired", tasks.add.apply_async((1, 1), expires=-5), 2),
    ):
        found[name] = sorted(noted(f"signals {result.id}", count, timeout=8))
    return found


@program
def results_within_tasks():
    spawned = tasks.spawns.delay(3)
    found = [
        spawned.get(T),
        len(spawned.children),
        [type(child).__name__ for child in spawned.children],
        [child.id for child in spawned.children[:3]] == noted(spawned.id)[0],
    ]
    untrailed = tasks.spawns_untrailed.delay()
    untrailed.get(T)
    return [
        *found,
        untrailed.children,
        of(tasks.joins.delay(False).get, T),
        tasks.joins.delay(True).get(T),
        spawned.children[0].get(T),
        sorted(spawned.children[3].get(T)),
    ]


@program
def logging_and_limits():
    tasks.logs.delay("apple").get(T)
    stored = tasks.late.delay(True)
    results = [tasks.limited.delay(n) for n in range(5)]
    found = [result.get(T) for result in results]
    times = sorted(noted("limited", 5))
    end = time.monotonic() + T
    while stored.state != "FAILURE" and time.monotonic() < end:
        time.sleep(0.02)
    return [found, times[-1] - times[0] > 0.12, stored.state]


@program
def bases():
    wrapped = tasks.timed.delay(2)
    return [
        tasks.finds_others.delay().get(T),
        ended(tasks.based.delay()),
        wrapped.get(T),
        tasks.timed.delay(0).get(T),
        tasks.timed(4),
        tasks.timed.s(2).delay().get(T),
        app.tasks["reports.build"].delay(1, 2, title="t").get(T),
        app.tasks["reports.build"].s(title="s").apply_async((1,)).get(T),
        tasks.named.delay().get(T),
        ended(tasks.for_ever.delay()),
        tasks.retries_at.delay().get(T),
        (tasks.timed.s(2) | tasks.expects.s()).delay().get(T),
    ]


@program
def links_from_within():
    result = tasks.chain_within.delay(4)
    return [result.get(T), sorted(noted(f"within {result.id}", 2)), tasks.fails_in_callback.apply_async(link=tasks.add.s(1)).get(T)]
