"""Canvas over rows in real workers: chains, groups, chords, links, replacements; and what survives a kill -9."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, chunks, group
from celery.exceptions import ChordError
from celery.result import AsyncResult, allow_join_result
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from jobs import control
from jobs.models import Chord, ChordPart, DeadLetterQueue, Job, StoredResult
from jobs.refusals import Refusal
from jobs.store import broker, canvas, unfired
from tests.flows import GET, job_of, s, si, task
from tests.standing import on
from tests.taskapp.flows import OutOfStock
from tests.waiting import until
from tests.workers import kill_group, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ON_GEVENT = on()


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def users(prefix: str) -> list[str]:
    return sorted(get_user_model().objects.filter(username__startswith=prefix).values_list("username", flat=True))


SHAPES: dict[str, tuple[Callable[[], Any], Any]] = {
    "chain": (lambda: s("add", 1, 2) | s("add", 10) | s("add", 100), 113),
    "partial and immutable": (lambda: s("add", 1).clone(args=(2,)) | si("add", 5, 5) | s("add_one"), 11),
    "group": (lambda: group(s("same", n) for n in range(5)), [0, 1, 2, 3, 4]),
    "chord": (lambda: chord([s("same", n) for n in range(5)], s("total")), 10),
    "chord of a generator": (lambda: chord((s("same", n) for n in range(5)), s("total")), 10),
    "chord without a header": (lambda: chord([], s("total")), 0),
    "chord in a chord": (lambda: chord([s("same", 1), chord([s("same", 2), s("same", 3)], s("total"))], s("total")), 6),
    "chord of groups": (lambda: chord([group(s("same", 1), s("same", 2)), s("same", 3)], s("total")), 6),
    "chord of chains": (lambda: chord([s("same", 1) | s("add_one"), s("same", 3) | s("add_one")], s("total")), 6),
    "chord whose body is a chain": (lambda: chord([s("same", 1), s("same", 2)], s("total") | s("add_one")), 4),
    "group after a task": (lambda: s("same", 1) | group(s("add_one"), s("add", 5)), [2, 6]),
    "chain of group and task": (lambda: group(s("same", 1), s("same", 2)) | s("total") | s("add_one"), 4),
    "map": (lambda: task("same").map([1, 2, 3]), [1, 2, 3]),
    "starmap": (lambda: task("add").starmap([(1, 2), (3, 4)]), [3, 7]),
    "chunks": (lambda: chunks(task("add").s(), [(1, 1), (2, 2), (3, 3)], 2).group(), [[2, 4], [6]]),
    "replaced by a task": (lambda: s("replaced", "task", 1) | s("add_one"), 2),
    "replaced by a chain": (lambda: s("replaced", "chain", 1) | s("add_one"), 4),
    "replaced by a group": (lambda: s("replaced", "group", 1) | s("total"), 3),
    "replaced by a chord": (lambda: s("replaced", "chord", 1) | s("add_one"), 4),
    "replaced in a chord": (lambda: chord([s("replaced", "chain", 1), s("replaced", "chord", 1)], s("total")), 6),
    "added to the chord": (lambda: chord([s("one_more", 1), s("one_more", 2)], s("total")), 303),
    "class of its own": (lambda: s("calling_base", 1), ["called", 1]),
}


@ON_GEVENT
def test_every_shape_of_a_canvas_gives_celerys_result(standing_worker: str) -> None:
    sent = {name: make().apply_async() for name, (make, _) in SHAPES.items()}
    found = {name: result.get(timeout=GET) for name, result in sent.items()}
    assert found == {name: expected for name, (_, expected) in SHAPES.items()}
    linked = task("same").apply_async((1,), link=[s("add_one"), si("same", 9)])
    assert linked.get(timeout=GET) == 1
    assert sorted(child.get(timeout=GET) for child in linked.children[0].results) == [2, 9]
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    assert not Job.objects.exclude(status="completed").exists()
    assert not Chord.objects.filter(fired_at=None).exists()
    assert not ChordPart.objects.exists()


@ON_GEVENT
def test_errors_reach_links_chains_and_chords_as_their_own_class(standing_worker: str) -> None:
    alone = task("raises").apply_async(link_error=[s("note_old"), s("note_new")])
    with pytest.raises(OutOfStock) as caught:
        alone.get(timeout=GET)
    assert (caught.value.item, caught.value.left) == ("pear", 3)
    until(lambda: users("old") == [f"old {alone.id}"] and users("new") == ["new OutOfStock"], timeout=GET)
    assert "in raises" in alone.traceback

    told_of = task("retry_limited").apply_async(link_error=s("note_request"), shadow="sh", headers={"x": "y"}, priority=4)
    with pytest.raises(OutOfStock):
        told_of.get(timeout=GET)
    said = AsyncResult(f"failed {told_of.id}").get(timeout=GET)
    assert said.pop("hostname").startswith("celery@")
    assert said == {
        "retries": 2, "root_id": told_of.id, "correlation_id": told_of.id, "lang": "py", "timelimit": [None, None], "stamps": {},
        "delivery_info": {"exchange": "", "routing_key": job_of(told_of).queue, "priority": 4, "redelivered": False},
        "shadow": "sh", "x": "y", "args": [],
    }  # fmt: skip

    before_group = (s("raises") | group(s("add_one"), s("add_one"))).apply_async()
    found = before_group.get(timeout=GET, propagate=False)
    assert [(type(error), error.item) for error in found] == [(OutOfStock, "pear")] * 2
    with pytest.raises(OutOfStock):
        before_group.get(timeout=GET)

    stopped = chain(s("same", 1), s("raises"), s("add_one"), s("add_one")).apply_async()
    with pytest.raises(OutOfStock):
        stopped.get(timeout=GET)
    assert stopped.state == "FAILURE"
    assert not Job.objects.filter(task_id=stopped.id).exists()  # a link that never ran is no job

    body = s("total").on_error(s("note_new"))
    failed = chord([s("same", 1), s("raises"), s("same", 3)], body).apply_async()
    with pytest.raises(ChordError) as told:
        failed.get(timeout=GET, follow_parents=False)
    assert "OutOfStock" in str(told.value)
    until(lambda: users("new") == ["new ChordError", "new OutOfStock"] or len(users("new")) == 2, timeout=GET)
    unsent = group(s("add_one") | s("add_one"), chord([s("same", 1)], group(s("total"), s("total"))))  # of the header, never sent
    for last in (unsent, s("add_one") | unsent, chord([s("same", 2)], unsent)):
        behind = chord([s("raises") | last, s("same", 1)], s("total")).apply_async()
        with pytest.raises(ChordError):
            behind.get(timeout=GET, follow_parents=False)

    held = task("replaced_by_failure").delay()
    with pytest.raises(OutOfStock):
        held.get(timeout=GET)
    assert job_of(held).status == "failed"
    assert DeadLetterQueue.objects.filter(job__task_id=held.id).count() == 1
    assert StoredResult.objects.filter(state="FAILURE").count() >= 3


@pytest.mark.slow
def test_a_header_that_is_cancelled_or_lost_fails_its_chord(tmp_path: Path) -> None:
    first = chord([s("same", 1), s("same", 2)], s("total")).apply_async()
    header = first.parent.results
    control.cancel([job_of(header[1]).id], by="somebody")
    with running_worker(tmp_path / "log"):
        with pytest.raises(ChordError) as told:
            first.get(timeout=GET, follow_parents=False)
        assert header[1].state == "REVOKED"
        assert "TaskRevokedError" in str(told.value)
    second = chord([s("same", 1), s("kill_worker")], s("total").on_error(s("note_new"))).apply_async()
    with running_worker(tmp_path / "poison", JOBS_MAX_LOST="1") as worker:
        until(lambda: worker.poll() is not None, timeout=GET)
    with running_worker(tmp_path / "last", JOBS_MAX_LOST="1"):
        with pytest.raises(ChordError, match="WorkerLost"):
            second.get(timeout=GET, follow_parents=False)
        until(lambda: users("new") == ["new ChordError"], timeout=GET)


def test_a_header_that_was_cancelled_is_not_deleted_before_its_chord_knows(tmp_path: Path) -> None:
    sent = chord([s("same", 1), s("same", 2)], s("total")).apply_async()
    header = job_of(sent.parent.results[1]).id
    assert control.cancel([header], by="sara").done == [header]
    assert control.delete([header], by="sara").refused == {header: Refusal.UNTOLD}
    late = chord([s("same", 1), s("same", 2).set(expires=timezone.now() - timedelta(seconds=5))], s("total")).apply_async()
    with running_worker(tmp_path / "log"):
        with pytest.raises(ChordError, match=r"TaskRevokedError\('revoked'\)"):
            sent.get(timeout=GET, follow_parents=False)
        with pytest.raises(ChordError, match=r"TaskRevokedError\('expired'\)"):
            late.get(timeout=GET, follow_parents=False)
    assert control.delete([header], by="sara").done == [header]


@ON_GEVENT
def test_a_header_that_is_run_again_fires_its_chord(standing_worker: str) -> None:
    result = chord([s("fails_once", 1), s("fails_once", 2), s("same", 3)], s("total")).apply_async()
    with pytest.raises(ChordError):
        result.get(timeout=GET, follow_parents=False)
    header = [job_of(part).id for part in result.parent.results[:2]]
    assert control.reprocess(header, by="somebody").done == sorted(header)
    until(lambda: Job.objects.filter(task_id=result.id, status="completed").exists(), timeout=GET)
    assert AsyncResult(result.id).get(timeout=GET) == 6

    bodies = chord([s("fails_once", 4), s("same", 5)], group(s("total"), s("total") | s("add_one"))).apply_async()
    until(lambda: all(isinstance(body.result, OutOfStock) for body in bodies), timeout=GET)
    assert control.reprocess([job_of(bodies.parent.results[0]).id], by="somebody").done
    until(lambda: Job.objects.filter(task_id__in=[body.id for body in bodies], status="completed").count() == 2, timeout=GET)
    assert bodies.get(timeout=GET) == [9, 10]


@ON_GEVENT
def test_the_same_chord_sent_again_runs_again(standing_worker: str) -> None:
    frozen = chord([s("same", 1), s("same", 2)], s("total"))
    frozen.freeze()
    first = frozen.apply_async()
    assert first.get(timeout=GET) == 3
    before = job_of(first).runs
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    frozen.apply_async()
    until(lambda: Job.objects.filter(task_id=first.id, runs__gt=before, status="completed").exists(), timeout=GET)


def test_a_group_that_cannot_be_sent_whole_is_not_sent_at_all() -> None:
    with pytest.raises(Exception, match=r"JSON|serializable|set"):
        group(s("same", 1), s("same", {1, 2}.__iter__()), s("same", 3)).apply_async()
    assert Job.objects.count() == 0


@pytest.mark.slow
def test_chords_and_chains_survive_kill_9_and_an_emptied_redis(tmp_path: Path) -> None:
    """Workers are killed again and again; each chord fires once, each chain goes on, with the right result."""
    rng = random.Random(5)
    client = broker.client(django_settings.CELERY_BROKER_URL)
    chords = [chord([s("same", n), s("same", 2 * n), s("add", n, 1)], s("total")).apply_async() for n in range(200)]
    chains = [chain(s("same", n), s("add_one"), s("add_one"), s("add_one")).apply_async() for n in range(60)]
    bodies = [result.id for result in chords]
    for round in range(6):
        done = Job.objects.filter(status="completed").count()
        with running_worker(tmp_path / f"log-{round}", slots=4, JOBS_MAX_LOST="50") as worker:
            until(lambda done=done: Job.objects.filter(status="completed").count() > done + rng.randrange(40, 120), timeout=60, every=0.005)  # type: ignore[misc]
            if round % 2:
                client.flushall()
            kill_group(worker)
    with running_worker(tmp_path / "last", JOBS_MAX_LOST="50"):
        assert [result.get(timeout=90) for result in chords] == [4 * n + 1 for n in range(200)]
        assert [result.get(timeout=90) for result in chains] == [n + 3 for n in range(60)]
    assert Job.objects.filter(task_id__in=bodies).count() == 200
    assert Job.objects.filter(task="t.total").count() == 200  # no body was sent twice
    assert Job.objects.exclude(status="completed").count() == 0
    assert Job.objects.count() == 200 * 4 + 60 * 4
    assert Chord.objects.filter(fired_at=None).count() == 0


@on("solo")
def test_the_end_of_a_link_and_the_next_one_are_one_transaction(standing_worker: str, standing_log: Path) -> None:
    """`xmin` is the transaction that wrote a row as it is; the second link is not due yet, so nobody has touched it since."""
    first = s("same", 1).apply_async(link=s("add_one").set(countdown=3600, priority=8))
    chained = chain(s("same", 1), s("add_one").set(countdown=3600)).apply_async()
    assert (first.get(timeout=GET), chained.parent.get(timeout=GET)) == (1, 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text, string_agg(status, ' ' ORDER BY id) FROM jobs_job GROUP BY 1")
        assert [statuses for _, statuses in cursor.fetchall()] == ["completed pending"] * 2
    assert sorted(Job.objects.filter(status="pending").values_list("priority", "args")) == [(5, [1]), (8, [1])]
    assert b"late and was refused" not in standing_log.read_bytes()


@ON_GEVENT
def test_what_canvas_keeps_is_pruned_when_it_is_old(standing_worker: str) -> None:
    sent = chord([s("same", 1), s("raises")], s("total")).apply_async()
    sent.parent.save()
    with pytest.raises(ChordError):
        sent.get(timeout=GET, follow_parents=False)
    waiting = chord([s("same", n).set(countdown=3600) for n in (1, 2)], s("total")).apply_async()
    with connection.cursor() as cursor:
        assert canvas.prune(cursor, 3600) == 0
        assert canvas.prune(cursor, 0) == 1  # the body's error; the header may be run again
        Job.objects.filter(status="failed").delete()
        assert unfired.drop(cursor, 0.0) == (1, "")  # the chord that fired
        assert canvas.prune(cursor, 0) == 1  # the group
        assert canvas.prune(cursor, 0) == 0
    assert not ChordPart.objects.exists()
    assert [left.id for left in Chord.objects.all()] == [waiting.parent.id]
