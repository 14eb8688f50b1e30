"""Workflows within workflows."""

import json

from celery import chain, chord, current_app, group, signature

from . import tasks
from .running import of, program

T = 60
app = current_app
add, mul, xsum, nothing = tasks.add, tasks.mul, tasks.xsum, tasks.nothing


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
