"""Chords are removed when nothing will fire them (again), and their saved groups with them."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, current_app, group
from celery.app.task import Context
from django.db import connection

from jobs import control
from jobs.celery_app import chords as chords_of
from jobs.models import Aftermath, Chord, ChordPart, Job
from jobs.store import canvas, engine, transitions, unfired
from jobs.store.canvas import Part
from jobs.store.transitions import Failure, Run
from tests.flows import s, si

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own() -> Iterator[Any]:
    connection = engine.connect("jobs prune")
    yield connection
    connection.close()


@pytest.fixture
def registered() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def chords(own: Any) -> list[str]:
    """The chords that are left when those were dropped to which nothing has happened for a day."""
    with own.cursor() as cursor:
        assert unfired.drop(cursor, 86400.0)[1] == ""
    return sorted(Chord.objects.values_list("id", flat=True))


def happened(days: float) -> None:
    """All that happened to chords was so many days ago."""
    with connection.cursor() as cursor:
        ago = "now() - make_interval(secs => %(seconds)s)"
        cursor.execute(
            f"""UPDATE jobs_chord SET created_at = {ago}, fired_at = CASE WHEN fired_at IS NOT NULL THEN {ago} END;
                UPDATE jobs_chordpart SET ended_at = {ago}; UPDATE jobs_savedgroup SET saved_at = {ago}""",
            {"seconds": days * 86400},
        )


@pytest.mark.usefixtures("registered")
def test_a_chord_whose_header_was_never_sent_whole_goes_when_its_parts_have_ended(own: Any) -> None:
    def broken() -> Iterator[Any]:
        yield from [si("same", n) for n in range(4)]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        chord(broken())(s("total"))
    first, *rest = Job.objects.order_by("id")
    assert rest
    sent = first.options["headers"]["group"]
    with own.cursor() as cursor:
        ended = Part(chord=sent, task_id=first.task_id, place=0, state="SUCCESS", result="1", failed=False)
        assert canvas.count(cursor, [ended]) == []
    Job.objects.filter(id=first.id).delete()
    happened(days=400)
    assert chords(own) == [sent], "a part waits"
    control.cancel([job.id for job in rest], by="sara")
    assert chords(own) == [sent], "its end is still to be told"
    Aftermath.objects.all().delete()
    assert chords(own) == [sent], "it may be run again"
    Job.objects.all().delete()
    happened(days=0.9)
    assert chords(own) == [sent], "something has happened"
    happened(days=1.1)
    assert chords(own) == []
    assert not ChordPart.objects.exists()


WAITING = {
    "tasks": lambda: [si("same", 1), si("same", 2)],
    "later links": lambda: [chain(si("same", 1), si("same", 2), si("same", 3)), chain(si("same", 1), si("same", 2))],
    "a chord within": lambda: [chord([si("same", 1), si("same", 2)], s("total")), chain(si("same", 1), chord([si("same", 1)], s("total")))],
    "a group within": lambda: [group(si("same", 1), si("same", 2)), si("same", 3)],
}


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("header", WAITING)
def test_a_chord_whose_header_waits_for_months_stays(own: Any, header: str) -> None:
    chord(WAITING[header]())(s("total"))
    Job.objects.update(run_at="2100-01-01T00:00Z")
    stays = sorted(Chord.objects.values_list("id", flat=True))
    assert stays
    happened(days=400)
    assert chords(own) == stays
    Job.objects.all().delete()
    assert chords(own) == []


def fails(cursor: Any, job: Job) -> None:
    run = Run(id=job.id, runs=1)
    assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
    assert transitions.bury(cursor, run, Failure(error_class="ValueError", message="no"), task=job.task)
    Aftermath.objects.all().delete()  # its end was told


HEADERS = {"a task": lambda: si("same", 1), "a chain, whose last link never ran": lambda: chain(si("same", 1), si("same", 2))}


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("header", HEADERS)
def test_a_chord_that_failed_stays_while_its_header_can_be_run_again(own: Any, header: str) -> None:
    sent = chord([HEADERS[header](), si("same", 3)])(s("total"))
    first, second = Job.objects.order_by("run_at")
    group = Chord.objects.get().id
    with own.cursor() as cursor:
        fails(cursor, first)
        failed = Part(chord=group, task_id=sent.parent.results[0].id, place=0, state="FAILURE", result='"no"', failed=True)
        assert canvas.count(cursor, [failed, Part(chord=group, task_id=second.task_id, place=1, state="SUCCESS", result="3", failed=False)])
        Job.objects.filter(id=second.id).delete()
        happened(days=400)
        assert canvas.prune(cursor, 86400.0) == 0
        assert chords(own) == [group]
        assert control.reprocess([first.id], by="sara").done == [first.id]
        assert chords(own) == [group], "it is on its way"
        Job.objects.filter(id=first.id).delete()
        happened(days=0.9)
        assert chords(own) == [group]
        happened(days=400)
        assert chords(own) == []
        assert not ChordPart.objects.exists()


@pytest.mark.usefixtures("registered")
def test_a_chord_stays_while_what_is_before_a_group_of_its_header_can_be_run_again(own: Any) -> None:
    """That has failed, and nothing of the group is counted."""
    chord([chain(si("same", 1), group(s("add_one"), s("same"))), si("same", 5)])(s("total"))
    first, second = Job.objects.order_by("run_at")
    with own.cursor() as cursor:
        fails(cursor, first)
    second.delete()
    happened(days=400)
    assert chords(own) == [Chord.objects.get().id]
    Job.objects.all().delete()
    assert chords(own) == []


@pytest.mark.usefixtures("registered")
def test_a_chord_that_waits_for_months_keeps_the_shape_of_its_header(own: Any) -> None:
    """The jobs of it that have completed are gone by then."""
    header = chord([chain(si("same", 1), group(s("add_one"), s("same"))), si("same", 5)])(s("total")).parent
    waiting = Job.objects.get(task_id=header.results[1].id)
    (b, c), d = [one.id for one in header.results[0]], waiting.task_id

    def ends(task_id: str, place: int, value: Any) -> None:
        chords_of.ended(
            current_app.backend, Context(waiting.options["embed"], id=task_id, group=header.id, group_index=place), "SUCCESS", value
        )

    Chord.objects.update(size=3)  # as the chain does when its group is sent
    ends(b, 0, 3)
    ends(c, 1, [4])
    happened(days=400)
    with own.cursor() as cursor:
        assert canvas.prune(cursor, 86400.0) == 0
        ends(d, 2, 5)
        assert Job.objects.get(task="t.total").args == [[[3, [4]], 5]]
        happened(days=400)
        assert canvas.prune(cursor, 86400.0) == 1, "it has fired"


def test_chords_are_asked_about_some_at_a_time_and_those_with_odd_ids_stay(own: Any) -> None:
    ids = [f"chord {n:03}" for n in range(unfired.MOST + 2)]
    Chord.objects.bulk_create(Chord(id=id, size=2) for id in [*ids, "مجموعة", 'a "b"'])
    happened(days=400)
    with own.cursor() as cursor:
        assert unfired.drop(cursor, 86400.0) == (unfired.MOST, ids[unfired.MOST - 1])
        assert unfired.drop(cursor, 86400.0, ids[unfired.MOST - 1]) == (2, "")
    assert chords(own) == ['a "b"', "مجموعة"]
