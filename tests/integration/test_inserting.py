"""How rows come in: one by one, in bulk, and by Celery's calls, whose short way must make the rows that Celery's own way makes."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chord, current_app, group, shared_task, signals
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.db.models.signals import post_init

from jobs import enqueue, enqueue_many
from jobs.celery_app import messages, plain
from jobs.models import Job
from jobs.store import insert
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
OWN = ("id", "task_id", "created_at", "run_at")


@shared_task(name="t.plain", max_retries=4, ignore_result=True)
def plainly(x: Any, *, y: Any = None) -> None: ...


@pytest.fixture(autouse=True)
def _no_kept_shapes() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    plain._shapes.clear()
    yield
    plain._shapes.clear()


def columns(task_id: str) -> dict[str, Any]:
    row = Job.objects.filter(task_id=task_id).values().get()
    return {name: value for name, value in row.items() if name not in OWN}


def test_ids_of_every_door_lie_side_by_side() -> None:
    """In the order in which the jobs came, so that the index of ids is read and written at one place."""
    add, found = current_app.tasks["t.add"], list[str]()
    for door in (
        lambda: add.delay(1, 2).id, lambda: add.delay(1, 2).id, lambda: add.apply_async((1, 2), countdown=9).id,
        lambda: add.s(1, 2).apply_async().id, lambda: enqueue("t.add", args=[1, 2]).task_id,
        lambda: Job.objects.get(id=enqueue_many("t.add", [((1, 2), {})])[0]).task_id,
    ):  # fmt: skip
        found.append(door())
        assert uuid.UUID(found[-1]).version == 7
        until(lambda: time.time_ns() // 1_000_000 > int(found[-1].replace("-", "")[:12], 16), timeout=1, every=0.0005)
    assert found == sorted(found)
    assert abs(Job.objects.get(task_id=found[-1]).created_at.timestamp() - int(found[-1].replace("-", "")[:12], 16) / 1000) < 1


TOGETHER = {
    "a group": (60, lambda calls: group(calls).apply_async()),
    "a group of two pages": (1_100, lambda calls: group(calls).apply_async()),
    "a chord": (60, lambda calls: chord(list(calls))(current_app.tasks["t.plain"].si(60))),
    "a generator": (60, lambda calls: chord(calls)(current_app.tasks["t.plain"].si(60))),
    "chunks": (60, lambda calls: current_app.tasks["t.plain"].chunks([call.args for call in calls], 1).apply_async()),
}


@pytest.mark.parametrize("how", TOGETHER)
def test_what_is_sent_together_runs_in_the_order_given(how: str) -> None:
    """Its rows are written in the order of their ids. All of it is due by the time the call returns."""
    total, send = TOGETHER[how]
    send(current_app.tasks["t.plain"].s(n) for n in range(total))
    jobs = Job.objects.filter(run_at__lte=Now()).order_by("-priority", "run_at", "id")
    assert [kwargs["it"][0][0] if kwargs else args[0] for args, kwargs in jobs.values_list("args", "kwargs")] == list(range(total))


def test_a_row_says_nothing_that_every_message_says() -> None:
    add = current_app.tasks["t.add"]
    for result in (add.delay(1, 2), add.delay(1, 2), add.apply_async((1, 2), time_limit=None)):
        options = Job.objects.get(task_id=result.id).options
        assert set(options) == {"headers"}
        assert set(options["headers"]) == {"origin", "ignore_result"}
    row = messages.Row(1, "id", "t.add", "[]", "{}", 0, 0, 3, None, False, None, 5)
    assert messages.parts(row, "celery", {})[0].items() >= messages.SAID_ANYWAY.items()
    options = Job.objects.get(task_id=add.apply_async((1, 2), time_limit=9, stamped_headers=["a"], a=1).id).options
    assert options["headers"]["timelimit"] == [9, None]


@pytest.mark.parametrize("task", ["t.add", "t.plain", "t.retry_inside"])
def test_the_short_way_makes_the_row_of_the_long_way(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"t.add": ((1, 2), {}), "t.plain": (("س\t\\",), {"y": [None, 1.5]}), "t.retry_inside": ((), {})}
    args, kwargs = calls[task]
    long = current_app.tasks[task].apply_async(args, kwargs)
    short_ways = []
    copy = insert.Copies.insert
    monkeypatch.setattr(insert.Copies, "insert", lambda *given: (short_ways.append(given), copy(*given)))
    short = current_app.tasks[task].apply_async(args, kwargs)
    assert len(short_ways) == 1, "the short way"
    assert columns(short.id) == columns(long.id)
    assert (type(short), short.ignored) == (type(long), long.ignored)


def test_whatever_could_change_the_row_takes_the_long_way(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = current_app.tasks["t.add"]
    task.delay(1, 2)
    assert plain.shape_of(current_app, task) is not None

    seen = []
    signals.before_task_publish.connect(lambda headers, **_: seen.append(headers["id"]), weak=False, dispatch_uid="here")
    try:
        assert task.delay(1, 2).id in seen
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="here")

    monkeypatch.setattr(task, "max_retries", 9)
    assert columns(task.delay(1, 2).id)["max_retries"] == 9

    task.delay(1, 2)
    settings.JOBS_AUTORETRY = True
    assert columns(task.delay(1, 2).id)["autoretry"] is True

    monkeypatch.setitem(current_app.conf, "task_always_eager", True)
    assert task.delay(1, 2).get() == 3
    monkeypatch.undo()

    assert columns(task.apply_async((1, 2), priority=8).id)["priority"] == 8


@pytest.mark.parametrize(("args", "kwargs", "message"), [((1,), {}, "missing"), ("ab", {}, "list or tuple"), ((1, 2), [1], "mapping")])
def test_a_call_that_does_not_fit_raises_the_same_both_ways(args: Any, kwargs: Any, message: str) -> None:
    task = current_app.tasks["t.add"]
    for _way in ("long", "short"):
        with pytest.raises(TypeError, match=message):
            task.apply_async(args, kwargs)
        task.delay(1, 2)
    assert Job.objects.count() == 2


@pytest.mark.parametrize("watched", [False, True])
def test_what_enqueue_returns_is_the_row(watched: bool, django_assert_num_queries: Any) -> None:
    seen: list[Any] = []

    def told(instance: Job, **_: Any) -> None:
        seen.append(instance)

    if watched:
        post_init.connect(told, sender=Job)
    try:
        with django_assert_num_queries(1):
            given = enqueue(
                "t.plain", args=["ا"], kwargs={"y": {"k": 1}}, name="name", priority=2, max_retries=None, timeout=None, unique_key="k"
            )
            row = {field.attname: getattr(given, field.attname) for field in Job._meta.concrete_fields}
    finally:
        post_init.disconnect(told, sender=Job)
    assert seen == [given] * watched
    assert row == Job.objects.values(*row).get()
    assert (given._state.db, given._state.adding, given.created_by) == ("default", False, None)
    with pytest.raises(TypeError, match="verb"):
        given.save()
    Job.objects.filter(id=given.id).update(name="another")
    given.refresh_from_db()
    assert given.name == "another"
    assert uuid.UUID(given.task_id).version == 7


NASTY = ["", "tab\there", "line\nend\r", "back\\slash\\", "\\N", "\\.", "عربي 'quoted\" ", "\x01\x7f", "x" * 255]


@pytest.mark.parametrize("in_worker", [False, True])
def test_bulk_keeps_every_character(in_worker: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if in_worker:
        monkeypatch.setattr(insert, "get_wait_callback", lambda: print)
    count = 3000
    calls = [((NASTY[n % len(NASTY)] * (1 + n % 40),), {"y": n}) for n in range(count)]
    names = [NASTY[n % len(NASTY)] for n in range(count)]
    ids = enqueue_many("t.plain", calls, names=names, priorities=[n % 10 for n in range(count)], max_retries=None, delay=5)
    rows = Job.objects.in_bulk(ids)
    assert [rows[id].args for id in ids] == [list(args) for args, _ in calls]
    assert [rows[id].kwargs for id in ids] == [kwargs for _, kwargs in calls]
    assert [rows[id].name for id in ids] == names
    assert [rows[id].priority for id in ids] == [n % 10 for n in range(count)]
    assert len({rows[id].task_id for id in ids}) == count
    one = rows[ids[0]]
    assert (one.max_retries, one.autoretry, one.status, one.run_at > one.created_at) == (None, True, "pending", True)


@pytest.mark.parametrize("bad", [((), {"z": 1}), ((object(),), {}), ((1,), {"y": "x" * 300_000})])
def test_one_bad_call_among_many_inserts_none(bad: Any) -> None:
    with transaction.atomic():
        before = enqueue("t.add", args=[1, 2])
        with pytest.raises(ValidationError):
            enqueue_many("t.plain", [((1,), {})] * 2000 + [bad] + [((1,), {})] * 10)
        assert Job.objects.get() == before, "the transaction around it goes on"
    with pytest.raises(ValueError, match="1 for 10 calls"):
        enqueue_many("t.plain", [((1,), {})] * 10, names=["one"])
    with pytest.raises(ValidationError, match="unique"):
        enqueue_many("t.plain", [((1,), {})], unique_key="k")
    assert Job.objects.count() == 1


def test_an_error_of_the_database_in_bulk_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = iter([("", "[]", "{}", 11)])
    with pytest.raises(IntegrityError, match="priority"):
        insert.insert_many(insert.NewJob(task="t.add"), rows, 1)
    assert not Job.objects.exists()
