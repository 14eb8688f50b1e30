"""Results: waiting for them, keeping them, groups of them."""

import time

from celery import chain, current_app, group
from celery.exceptions import TimeoutError
from celery.result import AsyncResult, GroupResult, ResultSet, result_from_tuple

from . import tasks
from .notes import noted
from .running import of, program

T = 60
app = current_app
add, fail = tasks.add, tasks.fail


@program
def one_result():
    result = add.delay(1, 2)
    value = result.get(timeout=T)
    again = AsyncResult(result.id)
    return [
        value,
        result.state,
        result.status,
        result.result,
        result.info,
        result.successful(),
        result.failed(),
        result.ready(),
        result.traceback,
        result.children,
        result.parent,
        again.get(T),
        again == result,
        hash(again) == hash(result),
        str(result) == result.id,
        repr(result)[:13],
        result.as_tuple(),
        result.as_list(),
        result.id == result.task_id,
        type(result.date_done).__name__,
        result.name,
        result.args,
        result.kwargs,
        result.retries,
        result.queue,
        "@" in result.worker,
        result_from_tuple(result.as_tuple()).get(T),
        result.graph is not None,
        result.maybe_throw(),
        result.maybe_reraise(),
        result.wait(T),
        result.supports_native_join,
        result.ignored,
        list(result.collect(timeout=T))[0][1],
        result.backend is app.backend,
        result.app is app._get_current_object(),
    ]


@program
def failed_result():
    result = fail.delay("a", b=1)
    error = of(result.get, T)
    return [
        error,
        result.state,
        type(result.result).__name__,
        result.result.item,
        str(result.info),
        result.failed(),
        result.successful(),
        "OutOfStock" in result.traceback,
        result.get(T, propagate=False) is not None,
        of(result.maybe_throw),
        of(AsyncResult(result.id).get, T),
        result.args,
        result.kwargs,
        of(result.get, T, disable_sync_subtasks=False)["class"],
    ]


@program
def unknown_result():
    result = AsyncResult("never-sent")
    start = time.monotonic()
    try:
        result.get(timeout=0.3)
    except TimeoutError as error:
        text = [str(error), type(error).__module__]
    return [
        text,
        0.2 < time.monotonic() - start < 5,
        result.state,
        result.result,
        result.info,
        result.ready(),
        result.children,
        result.traceback,
        result.date_done,
        of(result.successful),
        of(result.failed),
        result.name,
    ]


@program
def timeouts():
    result = tasks.sleeps.delay(1.5)
    return [of(result.get, 0.2)["class"], result.ready(), result.get(T, interval=0.05)]


@program
def forget_and_revoke():
    result = add.delay(1, 1)
    result.get(T)
    result.forget()
    forgotten = [result.state, AsyncResult(result.id).state, AsyncResult(result.id).result]
    waiting = tasks.add.apply_async((1, 1), countdown=2)
    waiting.revoke()
    error = of(waiting.get, T)
    many = [tasks.add.apply_async((n, 1), countdown=2) for n in range(3)]
    app.control.revoke([each.id for each in many])
    grouped = group(add.s(n, n).set(countdown=2) for n in range(2)).delay()
    grouped.revoke()
    return [
        forgotten,
        error,
        waiting.state,
        [of(each.get, T)["class"][0] for each in many],
        [each.state for each in many],
        of(grouped.get, T)["class"][0],
        grouped.failed(),
    ]


@program
def terminate():
    result = tasks.sleeps.apply_async((20,))
    time.sleep(1)
    result.revoke(terminate=True)
    start = time.monotonic()
    return [of(result.get, T)["class"], result.state, time.monotonic() - start < 10]


@program
def on_message():
    result, told = tasks.reports.delay(1), []
    from .notes import note

    def heard(message):
        told.append([message["status"], sorted(message)])
        if message["status"] == "PROGRESS":
            note(f"go {result.id} 0", 1)

    value = result.get(T, on_message=heard)
    callbacks = []
    other = add.delay(2, 2)
    other.get(T, callback=lambda id, value: callbacks.append([id == other.id, value]))
    seen = []
    grouped = group(add.s(n, n) for n in range(3)).delay()
    grouped.get(T, callback=lambda id, value: seen.append(value))
    return [value, told[-1], callbacks, sorted(seen)]


@program
def promises():
    told = []
    one = add.delay(3, 3)
    one.then(lambda result: told.append(["one", result.get()]))
    failed = fail.delay()
    failed.then(lambda result: told.append(["ok"]), on_error=lambda *error: told.append(["error"]))
    one.get(T)
    of(failed.get, T)
    many = group(add.s(n, n) for n in range(3)).delay()
    many.then(lambda results: told.append(["group", sorted(results.get())]))
    many.get(T)
    return sorted(told, key=str)


@program
def groups_kept():
    result = group(add.s(n, n) for n in range(3)).delay()
    result.save()
    again = GroupResult.restore(result.id)
    found = [
        again.get(T),
        again == result,
        again.id == result.id,
        result_from_tuple(result.as_tuple()).get(T),
        app.GroupResult.restore(result.id).completed_count(),
    ]
    again.delete()
    return [*found, GroupResult.restore(result.id), GroupResult.restore("nobody"), result.as_tuple()[0][0] == result.id]


@program
def sets():
    results = [add.delay(n, 1) for n in range(4)]
    some = ResultSet([])
    for each in results[:3]:
        some.add(each)
    some.update(results[3:])
    found = [
        some.join(T),
        sorted(some.iterate()) if hasattr(some, "iterate") else None,
        some.completed_count(),
        results[0] in some,
        len(some),
        some.ready(),
        some.successful(),
        [each.get() for each in some],
    ]
    native = sorted((meta["status"], meta["result"]) for _, meta in some.iter_native())
    metas = sorted(meta["result"] for _, meta in app.backend.get_many([each.id for each in results], timeout=T))
    some.discard(results[0]) if hasattr(some, "discard") else some.remove(results[0])
    left = len(some)
    some.forget()
    found += [native, metas, left, [each.state for each in results[1:]], [some.subtasks if hasattr(some, "subtasks") else None]]
    some.clear()
    return [*found, len(some), of(some.join, T), app.ResultSet(results[:1]).join(T)]


@program
def iteration():
    result = group(tasks.sleeps.s(n / 10) for n in (4, 0, 2)).delay()
    order = [meta["result"] for _, meta in result.iter_native(timeout=T)]
    partly = group(add.s(1, 1), fail.s()).delay()
    metas = sorted(meta["status"] for _, meta in partly.iter_native(timeout=T))
    return [
        sorted(order),
        metas,
        [type(each).__name__ for each in partly],
        of(partly.join, T)["class"],
        of(partly.join_native, T)["class"],
        sorted(map(repr, partly.join(T, propagate=False)))[:1],
    ]


@program
def trees():
    result = tasks.spawns.delay(1)
    result.get(T)
    for child in result.children:
        child.get(T)
    walked = [type(node).__name__ for _, node in result.iterdeps(intermediate=True)]
    tree = chain(add.s(1, 1), add.s(2), add.s(3)).delay()
    tree.get(T)
    parents = []
    node = tree
    while node is not None:
        parents.append(node.get(T))
        node = node.parent
    tree.parent.forget()
    return [
        walked,
        parents,
        len(result.graph.adjacent) if hasattr(result.graph, "adjacent") else None,
        result.as_tuple()[1],
        [len(part) for part in (tree.as_tuple(), tree.as_list())],
        noted(result.id)[0] == [result.children[0].id],
    ]


@program
def backend():
    result = add.delay(4, 4)
    result.get(T)
    meta = app.backend.get_task_meta(result.id)
    return [
        meta["status"],
        meta["result"],
        sorted(meta),
        app.backend.get_state(result.id),
        app.backend.get_status(result.id),
        app.backend.get_result(result.id),
        app.backend.get_traceback(result.id),
        app.backend.get_children(result.id),
        sorted(app.backend.get_task_meta("nobody-at-all")),
        app.backend.get_task_meta("nobody-at-all")["status"],
        app.backend.is_cached(result.id) in (True, False),
        of(app.backend.cleanup),
        app.backend.wait_for_pending(result),
        app.backend.supports_native_join,
        app.backend.supports_autoexpire,
        app.backend.persistent,
    ]
