"""What programs with those tasks see."""

import time
from datetime import UTC, datetime, timedelta
from unittest import mock

from celery import Task, chain, chord, current_app, group, signature
from celery.contrib.abortable import AbortableAsyncResult
from celery.result import AsyncResult, GroupResult, result_from_tuple
from django.contrib.auth import get_user_model
from django.db import transaction

from ..notes import note, noted
from ..running import of, program
from . import tasks

T = 30
app = current_app
add, xsum, boom, flaky = tasks.add, tasks.xsum, tasks.boom, tasks.flaky


def ended(result):
    found = of(result.get, T)
    return [found, result.state, bool(result.traceback)]


def reaches(result, *states):
    """The state, once it is one of these."""
    end = time.monotonic() + T
    while result.state not in states and time.monotonic() < end:
        time.sleep(0.02)
    return result.state


@program
def routes_of_every_kind():
    return [
        tasks.where.delay().get(T),
        tasks.to_the_queue.delay().get(T),
        tasks.video_cut.delay().get(T),
        tasks.by_text.delay().get(T),
        tasks.where.delay(customer="acme").get(T),
        tasks.where.apply_async(kwargs={"customer": "acme"}, queue="celery").get(T),
        app.send_task("same.habits.tasks.video_cut").get(T),
        tasks.video_cut.apply_async(priority=2).get(T),
        tasks.annotated.delay().get(T),
        sorted(app.conf.beat_schedule),
    ]


@program
def errbacks_of_every_kind():
    alone = boom.apply_async(link_error=tasks.on_error.s())
    bound = boom.apply_async(link_error=tasks.on_error_bound.s())
    named = boom.apply_async(link_error=tasks.on_error.s(key="named"))
    old = boom.apply_async(link_error=[tasks.on_error_old.s(), tasks.on_error_old.s(key="no")])
    fixed = boom.apply_async(link_error=tasks.on_error_fixed.si("word", key="fixed"))
    chained = boom.apply_async(link_error=tasks.on_error_fixed.si("a", key="chained") | tasks.note_value.si(1, key="chained 2"))
    by_name = boom.apply_async(link_error=signature("same.habits.tasks.on_error"))
    breaks = boom.apply_async(link_error=[tasks.on_error_breaks.s(), tasks.on_error.s(key="after the broken one")])
    both = boom.apply_async(link=tasks.note_value.s(key="never"), link_error=tasks.on_error.s(key="both"))
    fine = add.apply_async((1, 1), link_error=tasks.on_error.s(key="fine"))
    for result in (alone, bound, named, old, fixed, chained, by_name, breaks, both):
        of(result.get, T)
    return [
        fine.get(T),
        *[noted(f"error {result.id}") for result in (alone, bound, old, by_name)],
        noted("error named"),
        noted("error fixed"),
        noted("error chained"),
        noted("chained 2"),
        noted(f"error {breaks.id}"),
        noted("error both"),
        noted("never", timeout=0.3),
        noted("error fine", timeout=0.1),
        [result.state for result in (alone, bound, named, old, fixed, chained, by_name, breaks, both)],
    ]


@program
def errbacks_come_after_the_last_retry():
    kept = tasks.retries_by_formula.apply_async(link_error=tasks.on_error.s())
    saved = flaky.apply_async((1,), {"fails": 1}, link_error=tasks.on_error.s(key="saved"), link=tasks.note_value.s(key="linked"))
    return [ended(kept), noted(kept.id, 3), noted(f"error {kept.id}"), saved.get(T), noted("linked"), noted("error saved", timeout=0.3)]


@program
def errbacks_of_workflows():
    in_chain = chain(add.s(1, 1), boom.s(), add.s(1)).apply_async(link_error=tasks.on_error.s(key="chain"))
    in_group = group(add.s(1, 1), boom.s()).on_error(tasks.on_error.s(key="group")).apply_async()
    body = chord([add.s(1, 1), boom.s()], xsum.s().on_error(tasks.on_error.s(key="chord"))).delay()
    whole = chord([add.s(1, 1), boom.s()], xsum.s())
    whole.link_error(tasks.on_error.s(key="whole"))
    whole = whole.delay()
    piped = (group(add.s(1, 1), boom.s()) | xsum.s()).on_error(tasks.on_error.s(key="piped")).delay()
    failing_body = chord([add.s(1, 1)] * 2, boom.s().on_error(tasks.on_error.s(key="body"))).delay()
    found = [of(result.get, T) for result in (in_chain, in_group, body, whole, piped, failing_body)]
    kinds = [each["class"] if isinstance(each, dict) else each for each in found]
    expected = {"chain": 1, "group": 1, "chord": 1, "whole": 2, "piped": 2, "body": 1}
    return [kinds, *[sorted(noted(f"error {key}", count), key=str) for key, count in expected.items()]]


@program
def retries_within_workflows():
    headed = chord([flaky.s(1), flaky.s(2, fails=2), add.s(3, 3)], xsum.s()).delay()
    bodied = chord([add.s(1, 1), add.s(2, 2)], flaky.s(fails=1)).delay()
    chained = chain(flaky.s(1), add.s(1), tasks.flaky_auto.s(fails=2), add.s(10)).delay()
    grouped = group(flaky.s(n, fails=n % 3) for n in range(6)).delay()
    lost = chord([flaky.s(1, fails=9), add.s(1, 1)], xsum.s()).delay()
    auto = chord([tasks.flaky_auto.s(1), tasks.flaky_auto.s(2, fails=2)], xsum.s()).delay()
    chains = chord([flaky.s(1) | add.s(1)] * 2, xsum.s()).delay()
    return [headed.get(T), bodied.get(T), chained.get(T), grouped.get(T), of(lost.get, T)["class"], auto.get(T), chains.get(T)]


@program
def retries_as_people_write_them():
    return [
        ended(tasks.retries_in_except.delay(2)),
        ended(tasks.retries_in_except.delay(9)),
        ended(tasks.retries_by_formula.delay()),
        ended(tasks.retries_until_told.delay()),
        ended(tasks.retries_within_a_transaction.delay()),
        ended(tasks.calls_another_as_a_function.delay()),
    ]


@program
def states_that_are_set_by_hand():
    full, bare, early = tasks.fails_by_hand.delay("full"), tasks.fails_by_hand.delay("bare"), tasks.succeeds_by_hand.delay()
    found = [of(reaches, full, "FAILURE"), of(lambda: full.result), of(full.get, T), of(lambda: full.info), of(full.failed)]
    found += [of(lambda: bare.get(T)), of(lambda: bare.result)]
    found += [of(reaches, early, "SUCCESS"), of(early.get, T)]
    note(f"go {early.id}", 1)
    counting = tasks.counts.delay(3)
    return [*found, counting.get(T), AsyncResult(counting.id).info.get("result")]


@program
def gates_before_the_start():
    found = {}
    for how in ("open", "retry", "fail"):
        result = tasks.behind_a_gate.delay(how=how)
        found[how] = [ended(result), noted(result.id, {"open": 2, "retry": 3, "fail": 1}[how])]
    ignored = tasks.behind_a_gate.delay(how="ignore")
    return [found, noted(ignored.id), add.delay(1, 2).get(T)]


@program
def hooks_that_raise():
    found = {}
    for name, given, count in (
        ("fine", {}, 2),
        ("success", {"hook": "success"}, 2),
        ("after", {"hook": "after"}, 2),
        ("fails", {"fails": True}, 2),
        ("after a failure", {"fails": True, "hook": "after"}, 2),
    ):
        result = tasks.hooks_that_break.delay(**given)
        found[name] = [ended(result)[:2], noted(result.id, count)]
    return found


@program
def classes_with_state_of_their_own():
    return [
        tasks.connected.delay("k").get(T),
        tasks.connected("k"),
        tasks.pipeline.delay("s3", limit=2).get(T),
        app.tasks["habits.Pipeline"].s("s4").delay().get(T),
        (tasks.connected.s("z") | tasks.pipeline.s()).delay().get(T),
        tasks.connected.apply(("e",)).get(),
    ]


@program
def replaced_by_workflows():
    return [
        sorted(tasks.fans_out.delay(3).get(T)),
        tasks.fans_out_and_joins.delay(4).get(T),
        (tasks.fans_out.s(3) | xsum.s()).delay().get(T),
        group(tasks.fans_out_and_joins.s(2), tasks.fans_out_and_joins.s(3)).delay().get(T),
        chord([tasks.fans_out_and_joins.s(2), add.s(5, 5)], xsum.s()).delay().get(T),
        tasks.replaced_after_a_retry.delay(4).get(T),
        tasks.replaced_twice.delay(3).get(T),
        chord([tasks.grows_the_chord.s(1), add.s(1, 1)], xsum.s()).delay().get(T),
        tasks.starts_a_workflow.delay().get(T),
        (tasks.starts_a_workflow.s() | add.s(1)).delay().get(T),
        of(chord([tasks.replaced_after_a_retry.s(1), boom.s()], xsum.s()).delay().get, T)["class"],
    ]


@program
def a_task_that_fails_has_sent_what_it_sent():
    result = tasks.starts_a_chain_and_fails.delay()
    return [of(result.get, T), noted(f"started {result.id}")]


@program
def models_of_pydantic():
    order = {"number": 4, "lines": ["a", "b"]}
    return [
        tasks.pays.delay(order).get(T),
        tasks.pays.delay(tasks.Order(number=5, lines=["x"]), rate=2).get(T),
        tasks.pays.s(tasks.Order(number=6)).delay().get(T),
        of(lambda: tasks.pays.delay({"number": "no"}).get(T))["class"],
        tasks.pays_bound.delay(order=tasks.Order(number=1)).get(T),
        tasks.pays_bound.delay().get(T),
        chain(tasks.pays.s(tasks.Order(number=7, lines=["q"])), tasks.note_value.s(key="receipt")).delay().get(T),
    ]


@program
def values_people_send():
    return [
        of(tasks.takes_a_point.delay, tasks.Point(1))["class"][0],
        tasks.takes_a_point.delay({"x": 2}).get(T),
        tasks.dumps_a_point.delay().get(T),
        of(lambda: tasks.coroutine.delay().get(T))["class"][0],
        tasks.runs_a_coroutine.delay(4).get(T),
    ]


@program
def headers_and_stamps_of_a_call():
    stamped = tasks.seen.apply_async(stamped_headers=["order"], order="o-1", headers={"tenant": "t"})
    sig = tasks.seen.s()
    sig.stamp(batch=["b1", "b2"])
    both = group(sig, tasks.seen.s())
    both.stamp(run="r")
    return [
        tasks.seen.delay().get(T),
        group(tasks.seen.s()).delay().get(T),
        tasks.seen.apply_async(headers={"tenant": "acme"}, shadow="nightly").get(T),
        stamped.get(T),
        both.delay().get(T),
        chain(tasks.seen.s().set(headers={"tenant": "first"}), tasks.seen.si().set(headers={"tenant": "second"})).delay().get(T),
    ]


@program
def times_of_a_call():
    start = time.monotonic()
    soon = add.apply_async((1, 1), countdown=0.5)
    at = add.apply_async((1, 2), eta=datetime.now(UTC) + timedelta(seconds=0.5), expires=datetime.now(UTC) + timedelta(seconds=60))
    values = [soon.get(T), at.get(T)]
    waited = time.monotonic() - start
    expired = add.apply_async((1, 3), countdown=1.5, expires=0.5)
    in_chain = chain(add.s(1, 1), add.s(1).set(countdown=0.3), add.s(1).set(expires=60)).apply_async()
    dead_link = chain(add.s(1, 1), add.s(1).set(countdown=1.5, expires=0.5)).apply_async()
    return [
        values,
        0.4 < waited < 15,
        ended(expired)[:2],
        in_chain.get(T),
        of(dead_link.get, T)["class"],
        dead_link.parent.get(T),
        tasks.where.apply_async(time_limit=30, soft_time_limit=20).get(T)[2],
    ]


@program
def groups_that_are_kept():
    result = group(add.s(n, 1) for n in range(3)).apply_async()
    result.save()
    kept = GroupResult.restore(result.id)
    as_tuple = result_from_tuple(result.as_tuple())
    nested = group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3))).delay()
    nested.save()
    seen = []
    value = result.get(T, on_message=lambda meta: seen.append(meta["status"]))
    return [
        kept.get(T),
        as_tuple.get(T),
        GroupResult.restore(nested.id).get(T),
        value,
        set(seen) <= {"STARTED", "SUCCESS"},
        kept.completed_count(),
        kept.maybe_reraise() if hasattr(kept, "maybe_reraise") else None,
        [each.get(T) for each in kept],
        kept.children[0].get(T),
        kept.revoke() if False else None,
    ]


@program
def revoked_in_every_way():
    waits = add.apply_async((1, 1), countdown=2)
    app.control.revoke(waits.id)
    group_waits = group(add.s(n, 1) for n in range(2)).apply_async(countdown=2)
    group_waits.revoke()
    stamped = add.s(1, 1)
    stamped.stamp(customer="c-9")
    stamped = stamped.apply_async(countdown=2)
    app.control.revoke_by_stamped_headers({"customer": "c-9"})
    chained = chain(add.s(1, 1).set(countdown=1), add.s(1)).apply_async()
    chained.revoke()
    return [
        ended(waits)[:2],
        [told for told in noted(f"signals {waits.id}", 2, timeout=5) if told[0] == "task_revoked"],
        [told for told in noted(f"signals {chained.id}", 2, timeout=3) if told[0] == "task_revoked"],
        [ended(each)[:2] for each in group_waits.results],
        ended(stamped)[:2],
        ended(chained)[:2],
        chained.parent.get(T),
    ]


@program
def aborted():
    from celery.contrib.abortable import ABORTED

    result = tasks.stops_when_asked.delay()
    noted(result.id)
    handle = AbortableAsyncResult(result.id)
    handle.abort()
    end = time.monotonic() + T
    while AsyncResult(result.id).state not in ("SUCCESS", "FAILURE") and time.monotonic() < end:
        time.sleep(0.02)
    return [ABORTED, result.get(T), result.state]


@program
def results_nobody_reads():
    chorded = chord([tasks.unread.s(1), tasks.unread.s(2)], tasks.note_value.s(key="of unread")).delay()
    places = group(tasks.place.s() for _ in range(3)).delay()
    return [
        tasks.unread.delay(5).get(timeout=1),
        noted("unread 5"),
        chorded.get(T),
        noted("of unread"),
        sorted(noted(f"place {places.results[0].id}", 1), key=str),
        tasks.unread.apply_async((6,), ignore_result=False).get(T),
    ]


@program
def transactions():
    users = get_user_model().objects
    with transaction.atomic():
        users.create(username="outer")
        tasks.makes_user.delay_on_commit("by the commit")
        tasks.makes_user.apply_async_on_commit(("by apply",)) if hasattr(Task, "apply_async_on_commit") else None
    later = []
    with transaction.atomic():
        users.create(username="seen?")
        transaction.on_commit(lambda: later.append(tasks.user_is_there.delay("seen?")))
    try:
        with transaction.atomic():
            tasks.makes_user.delay_on_commit("never")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    end = time.monotonic() + T
    while not users.filter(username="by the commit").exists() and time.monotonic() < end:
        time.sleep(0.02)
    return [later[0].get(T), users.filter(username="never").exists(), users.filter(username="by the commit").exists()]


@program
def eager_in_tests():
    app.conf.task_always_eager = True
    try:
        found = [add.delay(1, 2).get(), of(boom.delay().get), boom.delay().state, chain(add.s(1, 1), add.s(2)).delay().get()]
        found += [chord([add.s(1, 1), add.s(2, 2)], xsum.s()).delay().get(), group(add.s(1, 1), add.s(2, 2)).delay().get()]
        found += [tasks.retries_in_except.delay(2).get(), of(tasks.retries_in_except.delay(9).get)]
        found += [tasks.behind_a_gate.delay().get(), of(tasks.behind_a_gate.delay, how="fail") and "gate", tasks.flaky_auto.delay(3).get()]
        found += [app.send_task("same.habits.tasks.add", (4, 4)).get() if False else None, tasks.where.delay().get()[0]]
        app.conf.task_eager_propagates = True
        found += [of(boom.delay), of(chain(add.s(1, 1), boom.s()).delay)]
        with transaction.atomic():
            tasks.makes_user.delay_on_commit("eager")
            found.append(get_user_model().objects.filter(username="eager").exists())
        found.append(get_user_model().objects.filter(username="eager").exists())
    finally:
        app.conf.update(task_always_eager=False, task_eager_propagates=False)
    return found


@program
def mocks_in_tests():
    add.delay(0, 0).get(T)
    found = []
    with mock.patch("same.habits.tasks.add.delay") as delay:
        tasks.add.delay(1, 2)
        found.append(delay.call_args.args)
    with mock.patch("celery.app.task.Task.apply_async") as apply_async:
        tasks.add.delay(1, 2)
        found.append([list(part) for part in apply_async.call_args])
    with mock.patch.object(tasks.add, "apply_async") as apply_async:
        tasks.add.delay(1, 2)
        found.append([list(part) for part in apply_async.call_args])
    with mock.patch.object(app._get_current_object(), "send_task") as send_task:
        tasks.add.delay(1, 2)
        tasks.add.apply_async((3, 4), countdown=1)
        found.append([send_task.call_count, send_task.call_args.args[:2], send_task.call_args.kwargs.get("countdown")])
    with mock.patch("celery.app.base.Celery.send_task") as send_task:
        tasks.add.delay(1, 2)
        found.append(send_task.call_count)
    with mock.patch.object(app.amqp, "send_task_message") as send_task_message:
        tasks.add.delay(1, 2)
        found.append(send_task_message.call_count)
    with mock.patch.object(tasks.add, "run", return_value=7):
        found.append(tasks.add.apply((1, 2)).get())
    return found


@program
def signatures_as_people_keep_them():
    import json
    import pickle

    sig = add.s(1).set(queue="routed", countdown=0.1, priority=3)
    kept = json.loads(json.dumps(sig))
    many = json.loads(json.dumps(chain(add.s(1, 1), group(add.s(1), add.s(2)), xsum.s())))
    return [
        signature(kept).delay(5).get(T),
        signature(many).delay().get(T),
        app.signature("same.habits.tasks.add", args=(1, 1), options={"queue": "routed"}).delay().get(T),
        pickle.loads(pickle.dumps(sig)).delay(6).get(T),
        sig.clone(args=(2,), countdown=0).delay().get(T) if False else None,
        add.s(1, 1).replace(args=(7, 7)).delay().get(T) if hasattr(sig, "replace") else None,
        (add.s(2) | add.s(3)).apply_async(args=(1,)).get(T),
        xsum.map([[1], [2]]).apply_async(queue="routed").get(T),
        add.chunks([(1, 1), (2, 2), (3, 3)], 2).apply_async(queue="routed").get(T),
        (add.starmap([(1, 1), (2, 2)]) | xsum.s()).apply_async().get(T),
    ]


@program
def tasks_that_want_to_end_the_worker():
    return [of(tasks.exits.delay("exit").get, T)["class"][-1], add.delay(1, 2).get(T)]
