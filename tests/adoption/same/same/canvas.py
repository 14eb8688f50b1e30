"""Workflows."""

import json

from celery import chain, chord, chunks, current_app, group, signature, xmap, xstarmap
from celery.canvas import StampingVisitor

from . import tasks
from .notes import noted
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
def failed_chords():
    one = chord([add.s(1, 1), fail.s(), add.s(2, 2)])(xsum.s())
    error = of(one.get, T)
    body = chord([add.s(1, 1), add.s(2, 2)])(fail.s())
    linked = chord([add.s(1, 1), fail.s()], xsum.s().set(task_id="body-1").on_error(tasks.errback_old.s())).delay()
    new = chord([add.s(1, 1), fail.s()], xsum.s().set(task_id="body-2").on_error(tasks.errback_new.s())).delay()
    linked_error, new_error = of(linked.get, T), of(new.get, T)
    chained = (chord([add.s(1, 1), fail.s()], xsum.s()) | mul.s(2)).delay()
    return [
        error["class"],
        error["text"],
        one.state,
        of(body.get, T),
        linked_error["class"],
        new_error["class"],
        noted("errback body-1"),
        noted("errback body-2")[0][:1],
        of(chained.get, T)["class"],
    ]


@program
def links():
    one = add.apply_async((1, 2), link=tasks.callback.s(key="link-1"))
    two = add.apply_async(
        (1, 3), link=[tasks.callback.s(key="link-2"), tasks.callback.si("fixed", key="link-3"), mul.s(2) | tasks.callback.s(key="link-4")]
    )
    sig = add.s(5, 5)
    sig.link(tasks.callback.s(key="link-5"))
    sig.link_error(tasks.errback_old.s())
    three = sig.delay()
    four = fail.apply_async(link_error=tasks.errback_old.s(), task_id="failing-1")
    five = fail.apply_async(
        link_error=[tasks.errback_new.s(), tasks.errback_new.s()], link=tasks.callback.s(key="never"), task_id="failing-2"
    )
    six = chain(add.s(1, 1), fail.s(), add.s(2)).on_error(tasks.errback_new.s()).apply_async()
    found = [one.get(T), two.get(T), three.get(T), of(four.get, T), of(five.get, T), of(six.get, T), six.parent.state, six.state]
    notes = [noted(f"link-{n}") for n in range(1, 6)] + [
        noted("errback failing-1"),
        noted("errback failing-2", 2),
        noted("never", 1, timeout=0.5),
    ]
    notes += [noted(f"errback {six.parent.id}")]
    return [
        *found,
        *notes,
        [child.get(T) for child in one.children],
        len(two.children),
        group(add.s(1, 1), add.s(2, 2)).on_error(tasks.errback_old.s()).delay().get(T),
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


@program
def failures_in_chains():
    result = chain(add.s(1, 1), fail.s(), add.s(1), add.s(2)).apply_async()
    error = of(result.parent.parent.get, T)
    last = of(result.get, T)
    retried = chain(tasks.retries.s(1), add.s(5)).delay()
    return [
        error,
        last,
        [each.state for each in (result.parent.parent.parent, result.parent.parent)],
        retried.get(T),
        of(chain(tasks.retries_exc.s(), add.s(1)).delay().get, T),
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


@program
def deep():
    nested = group(
        chord([group(add.s(n, 1), chain(add.s(n, 2), add.s(1))) for n in range(2)], tasks.echo.s()),
        chain(add.s(1, 1), chord([add.s(1), add.s(2)], xsum.s()), add.s(100)),
    )
    chords_in_chain = chain(
        chord([add.s(1, 1), add.s(2, 2)], xsum.s()), chord([add.s(1), add.s(2)], xsum.s()), chord([mul.s(2), mul.s(3)], xsum.s())
    )
    many = group(chain(add.s(n, 1), group(mul.s(2), mul.s(3)), xsum.s()) for n in range(4)) | xsum.s()
    return [nested.delay().get(T), chords_in_chain.delay().get(T), many.delay().get(T), chain(*[add.s(1)] * 30).apply_async((0,)).get(T)]


@program
def unusual_shapes():
    partial = add.s(1)
    partial_chain = chain(partial, mul.s(2))
    immutable = chain(add.s(1, 1), tasks.nothing.si(), add.si(2, 2))
    generator = (add.s(n, n) for n in range(4))
    nested_groups = group(group(add.s(1, 1), add.s(2, 2)), group(add.s(3, 3)))
    return [
        partial_chain.apply_async((3,)).get(T),
        partial_chain(4).get(T),
        immutable().get(T),
        chord(generator)(xsum.s()).get(T),
        nested_groups().get(T),
        (nested_groups | tasks.expects.s()).delay().get(T),
        chord([add.s(1, 1)], tasks.expects.s()).delay().get(T),
        chord(group([add.s(1, 1), nothing.si()]), tasks.expects.s()).delay().get(T),
        chain(group(add.s(1, 1)), tasks.expects.s()).delay().get(T),
        (add.s(1, 1) | group(add.s(1), chain(add.s(2), add.s(3))) | tasks.expects.s()).delay().get(T),
        (group(add.s(1, 1), add.s(2, 2)) | xsum.s() | add.s(1) | add.s(1)).delay().get(T),
        chain(tasks.same.s([1, 2]), xsum.s()).delay().get(T),
        chain(tasks.same.s({"a": 1}), tasks.expects.s()).delay().get(T),
        (add.s(2, 2) | mul.s(3)).apply_async(link=add.s(1)).get(T),
        chain(add.s(1, 2) for _ in range(1)).delay().get(T),
        group(chain(add.s(n, 1), mul.s(2)) for n in range(3)).delay().get(T),
        group(chord([add.s(n, 1), add.s(n, 2)], xsum.s()) for n in range(3)).delay().get(T),
        xsum.s([1, 2]).delay().get(T),
        (xsum.s([1, 2]) | group([])).apply_async() is not None,
        chain(add.s(1, 1), chord([add.s(1), add.s(2)], xsum.s()), group(add.s(1), add.s(2)), tasks.expects.s()).delay().get(T),
        signature(json.loads(json.dumps(chord([add.s(1, 1), add.s(2, 2)], xsum.s())))).delay().get(T),
        signature(json.loads(json.dumps(group(add.s(1, 1), add.s(2, 2))))).delay().get(T),
        signature(json.loads(json.dumps(chain(group(add.s(1, 1), add.s(2, 2)), xsum.s())))).delay().get(T),
        chord([add.s(1, 1), add.s(2, 2)], xsum.s()).set(queue="routed").delay().get(T),
    ]


@program
def replaced_in_workflows():
    replaces = tasks.replaces
    return [
        chord([replaces.s("sig", 1), add.s(2, 2)], xsum.s()).delay().get(T),
        chord([replaces.s("chain", 1), replaces.s("chord", 1)], xsum.s()).delay().get(T),
        chain(add.s(1, 1), tasks.same.s(), xsum.si([1, 2]), replaces.si("chord", 2), add.s(1)).delay().get(T),
        group(replaces.s("sig", 1), replaces.s("chain", 2)).delay().get(T),
        (replaces.s("group", 1) | xsum.s()).delay().get(T),
        of(chord([replaces.s("fail", 1), add.s(1, 1)], xsum.s()).delay().get, T)["class"],
        of((replaces.s("fail", 1) | add.s(1)).delay().get, T)["class"],
    ]


@program
def errors_in_groups():
    grouped = group(add.s(1, 1), fail.s(), tasks.raises.s("ValueError")).delay()
    failures = [type(value).__name__ for value in grouped.get(T, propagate=False)]
    headed = (group(add.s(1, 1), fail.s()) | xsum.s() | add.s(1)).delay()
    nested = chord([chord([add.s(1, 1), fail.s()], xsum.s()), add.s(2, 2)], xsum.s()).delay()
    return [
        failures,
        grouped.failed(),
        grouped.successful(),
        grouped.completed_count(),
        of(headed.get, T)["class"],
        of(nested.get, T)["class"],
        of(chain(fail.s(), group(add.s(1), add.s(2)), xsum.s()).delay().parent.parent.get, T)["class"],
    ]
