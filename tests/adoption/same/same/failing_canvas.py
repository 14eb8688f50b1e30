"""Workflows with errors in them, and with links for those."""

from celery import chain, chord, current_app, group

from . import tasks
from .notes import noted
from .running import of, program

T = 60
app = current_app
add, mul, xsum, fail = tasks.add, tasks.mul, tasks.xsum, tasks.fail


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
