"""Workflows."""

import json

from celery import chain, chord, chunks, current_app, group, signature, xmap, xstarmap
from celery.canvas import StampingVisitor

from . import tasks
from .running import of, program

T = 60
app = current_app
add, mul, xsum, tsum, fail, same, nothing = tasks.add, tasks.mul, tasks.xsum, tasks.tsum, tasks.fail, tasks.same, tasks.nothing


@program
def chains():
    result = chain(add.s(1, 2), add.s(3), mul.s(4)).apply_async()
    return [
        result.get(T),
        result.parent.get(T),
        result.parent.parent.get(T),
        result.parent.parent.parent,
        (add.s(1, 1) | add.si(5, 5) | add.s(1)).delay().get(T),
        chain(add.s(1, 1)).delay().get(T),
        chain([add.s(1, 1), add.s(2)])().get(T),
        chain(add.s(1), add.s(2)).apply_async((10,)).get(T),
        chain(add.s(2, 2), group(add.s(1), add.s(2))).delay().get(T),
        chain(group(add.s(1, 1), add.s(2, 2)), xsum.s()).delay().get(T),
        chain(group(add.s(1, 1), add.s(2, 2)), xsum.s(), add.s(1), group(mul.s(2), mul.s(3)), xsum.s()).delay().get(T),
        of(chain().apply_async),
        (add.s(1, 1) | nothing.s() | same.s()).delay().get(T),
        chain(add.s(4, 4), chain(mul.s(2), mul.s(3))).delay().get(T),
        chain(add.s(1, 1) | add.s(1), add.s(1)).apply().get(),
        repr(add.s(1, 1) | add.s(2)),
        json.loads(json.dumps(add.s(1, 1) | add.s(2)))["task"],
        signature(json.loads(json.dumps(add.s(1, 1) | add.s(2)))).delay().get(T),
        chain(add.s(1, 1), add.s(2)).apply_async(countdown=0.1, priority=2, queue="routed").get(T),
        (add.s(i, i) for i in range(1)) and (~chain(add.s(1, 1), add.s(2))),
    ]


@program
def groups():
    result = group(add.s(n, n) for n in range(5)).apply_async()
    found = [
        result.get(T),
        len(result),
        result.ready(),
        result.successful(),
        result.failed(),
        result.waiting(),
        result.completed_count(),
        result.join(T),
        result.join_native(T),
        type(result).__name__,
        result.parent,
        [type(child).__name__ for child in result.children],
        bool(result),
        result[0].get(T),
        result.supports_native_join,
    ]
    empty = group().apply_async()
    found += [
        empty.get(T),
        len(empty),
        group([add.s(1, 1)]).delay().get(T),
        group(add.s(1)).apply_async((5,)).get(T),
        group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3))).delay().get(T),
    ]
    found += [
        group(add.s(1, 1), add.s(2, 2)).apply().get(),
        group(add.s(1), mul.s(2)).set(queue="routed").delay(3).get(T),
        repr(group(add.s(1, 1), add.s(2, 2))),
    ]
    partly = group(add.s(1, 1), fail.s(), add.s(2, 2)).apply_async()
    found += [
        of(partly.get, T),
        partly.join(T, propagate=False)[0],
        partly.failed(),
        partly.successful(),
        partly.ready() in (True, False),
        len(partly.get(T, propagate=False)),
    ]
    skewed = group(add.s(n, 0) for n in range(3)).skew(0, 0.2, 0.1)
    return [
        *found,
        [task.options for task in skewed.tasks],
        skewed.delay().get(T),
        (group(add.s(1, 1), add.s(2, 2)) | group(tsum.si(1), tsum.si(2))).delay().get(T),
        (group([]) | xsum.s()).delay().get(T),
    ]


@program
def chords():
    found = [
        chord(add.s(n, n) for n in range(5))(xsum.s()).get(T),
        chord([add.s(1, 1)], xsum.s()).delay().get(T),
        chord([], xsum.s()).delay().get(T),
        chord([add.s(1, 1), add.s(2, 2)])(xsum.s() | add.s(1)).get(T),
        chord(group(add.s(1, 1), add.s(2, 2)), tasks.echo.s(k=1)).delay().get(T),
        chord([chain(add.s(1, 1), add.s(2)), add.s(3, 3)], xsum.s()).delay().get(T),
        chord([chord([add.s(1, 1)] * 2, xsum.s()), add.s(5, 5)], xsum.s()).delay().get(T),
        chord([add.s(1, 1), add.s(2, 2)], nothing.si()).delay().get(T),
        chord([add.s(1, 1), add.s(2, 2)], group(xsum.s(), xsum.s())).delay().get(T),
        chord([add.s(1, 1), add.s(2, 2)], xsum.s()).apply().get(),
        (chord([add.s(1, 1), add.s(2, 2)], xsum.s()) | mul.s(10)).delay().get(T),
        chord([add.s(1), add.s(2)], xsum.s()).apply_async((10,)).get(T),
        chord((add.s(n, 1) for n in range(3)), xsum.s()).apply_async(countdown=0.1).get(T),
        chord([tasks.adds_to_chord.s(1), add.s(2, 2)], xsum.s()).delay().get(T),
        chord([nothing.s(), nothing.s()], same.s()).delay().get(T),
        chord(add.s(n, n) for n in range(50))(xsum.s()).get(T),
        repr(chord([add.s(1, 1)], xsum.s())),
        (group(add.s(1, 1), add.s(2, 2)) | tsum.si(1, 2)).delay().get(T),
    ]
    result = chord([add.s(1, 1), add.s(2, 2)])(xsum.s())
    return [
        *found,
        result.get(T),
        type(result.parent).__name__,
        result.parent.get(T),
        [type(child).__name__ for child in result.parent.children],
    ]


@program
def maps_and_chunks():
    return [
        add.chunks(zip(range(10), range(10), strict=True), 3).apply_async().get(T),
        add.chunks([(1, 1), (2, 2)], 1).delay().get(T) if hasattr(chunks, "delay") else None,
        xsum.map([[1, 2], [3]]).delay().get(T),
        add.starmap([(1, 2), (3, 4)]).delay().get(T),
        list(add.chunks([(n, n) for n in range(4)], 2)()),
        xmap(same.s(), [1, 2]).apply().get(),
        xstarmap(add.s(), [(1, 1)]).delay().get(T),
        add.chunks([(n, n) for n in range(4)], 2).group().delay().get(T),
        (add.starmap([(1, 1), (2, 2)]) | xsum.s()).delay().get(T),
        chord(add.chunks([(n, n) for n in range(4)], 2).group(), same.s()).delay().get(T),
        repr(add.starmap([(1, 2)])),
        of(add.starmap([(1,)]).delay().get, T)["class"],
    ]


class Stamps(StampingVisitor):
    def on_signature(self, sig, **headers):
        return {"customer": 7, "trace": ["a", "b"], "stamped_headers": ["customer", "trace"]}


@program
def stamps():
    sig = chain(tasks.about.s(), tasks.about.si())
    sig.stamp(Stamps())
    result = sig.delay()
    second, first = result.get(T), result.parent.get(T)
    simple = tasks.about.s()
    simple.stamp(order="o-1")
    seen = simple.delay().get(T)
    return [[each["stamps"], sorted(each["stamped_headers"])] for each in (first, second, seen)]


@program
def results_of_a_workflow():
    result = chain(add.s(1, 1), group(add.s(1), add.s(2)), xsum.s()).delay()
    value = result.get(T)
    again = app.AsyncResult(result.id)
    parent = result.parent
    return [
        value,
        again.get(T),
        type(parent).__name__,
        parent.get(T),
        type(parent.parent).__name__,
        parent.parent.get(T),
        sorted(v for _, v in chain(add.s(1, 1), add.s(2)).delay().collect(timeout=T)),
    ]
