"""The index of words: what goes into it, when, and what it costs."""

import threading
from unittest import mock

import pytest
from django.db import connection
from django.test import Client

from jobs import control, enqueue, masking
from jobs.leader import indexing
from jobs.leader.load import Load
from jobs.store import engine, results, search
from jobs.store.tell import BUCKET
from tests.rows import index_everything, inserted, job_in
from tests.waiting import until

pytestmark = pytest.mark.django_db


def test_an_error_is_found_though_it_came_after_the_job_was_indexed(sara: Client) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    index_everything()
    assert found(sara) == []
    attempts(job.pk, ["x"])
    index_everything()
    assert found(sara) == [job.pk]


def test_of_long_arguments_only_the_beginning_is_read(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes of one job kept the leader's process for seconds, while nothing was dispatched."""
    read, lengths = search._read, []
    monkeypatch.setattr(search, "_read", lambda text: lengths.append(len(text)) or read(text))
    long = inserted("some.task", ["first words", f"beginning {'x' * 200_000}", "unread"])
    assert found(sara, "beginning") == [long], "one that is not in the index yet"
    index_everything()
    assert (found(sara, "first words"), found(sara, "beginning"), found(sara, "unread")) == ([long], [long], [])
    assert max(lengths) <= search._LONGEST + 1


def test_words_that_most_jobs_have_are_not_counted_and_the_newest_are_shown(sara: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (name, task, status, finished_at) SELECT 'often' || CASE n %% 400 WHEN 0 THEN ' rare' ELSE '' END,"
            " 'some.task', 'completed', now() FROM generate_series(1, %s) n RETURNING id",
            [2 * search.MOST + 400],
        )
        numbers = [row[0] for row in cursor.fetchall()]
        cursor.execute("INSERT INTO jobs_search (job, words) SELECT id, array_to_tsvector(string_to_array(name, ' ')) FROM jobs_job")
        cursor.execute("ANALYZE jobs_search")
    assert search.find("'often':*", masking.positional) == search.Hits(numbers=None, behind=False)
    rare = search.find("'often':* & 'rare':*", masking.positional).numbers
    assert rare is not None
    assert sorted(rare) == numbers[399::400]
    shown = found(sara, "often")
    assert len(shown) > 20
    assert shown == numbers[: -len(shown) - 1 : -1]


def found(client: Client, words: str = "ValueError") -> list[int]:
    return [job.pk for job in client.get("/jobs/", {"q": words}).context["page"].rows]


def test_the_walk_finds_what_was_missed_and_removes_what_is_gone() -> None:
    jobs = [job_in("completed", name=f"walk {number}") for number in range(6)]
    index_everything()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_search WHERE job = %s", [jobs[2].pk])
        control.delete([jobs[4].pk], by="sara")
        place: int | None = 0
        while place is not None:
            place = search.repair(cursor, place, masking.positional)
        cursor.execute("SELECT job FROM jobs_search ORDER BY job")
        assert [row[0] for row in cursor.fetchall()] == [job.pk for job in jobs if job != jobs[4]]


def test_indexing_takes_a_tenth_of_the_time_at_most_and_a_fiftieth_while_jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK", 2)
    ticks = iter([0.0, 0.01, 10.0, 13.0, 50.0, 53.0])
    steps = iter([2, 2, 2, 0])
    monkeypatch.setattr(search, "fill", lambda cursor, mask: next(steps))
    load = Load()
    indexer = indexing.Indexer(mock.MagicMock(), load)
    assert indexer.step(lambda: 0.0) == indexing.QUIET  # a standby: nothing was filled
    load.leads = True
    assert indexer.step(lambda: next(ticks)) == indexing.BUSY
    assert indexer.step(lambda: next(ticks)) == 27
    load.crowded = True
    assert indexer.step(lambda: next(ticks)) == 147
    indexer.place, indexer.next_walk = None, 9e9
    assert indexer.step(lambda: 20.0) == indexing.QUIET


def test_whoever_waits_for_a_result_holds_up_no_indexing() -> None:
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    waiting = engine.connect("jobs-waiter")
    try:
        with connection.cursor() as cursor:
            one_of_each = f"SELECT min(n::text) FROM generate_series(1, 5000) n GROUP BY {BUCKET.format('n::text')}"
            cursor.execute(f"SELECT array_agg(id) FROM ({one_of_each}) t (id)")
            ids = cursor.fetchone()[0]
            waiter = results.Waiter(waiting)
            waiter.watch(ids)
            assert len(waiter.buckets) == 256
            assert search.fill(cursor, masking.positional) > 0
    finally:
        waiting.close()


def test_a_job_with_ever_other_errors_holds_up_no_other_one() -> None:
    """PostgreSQL takes a megabyte of words of a job; with more of them nothing was indexed any more, and no walk passed."""
    job = job_in("completed")
    index_everything()
    for first in (1, 101, 201):
        attempts(job.pk, [" ".join(f"{run}x{word}".rjust(60, "é") for word in range(32)) for run in range(first, first + 100)], first)
        index_everything()
    other = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name="another")
    index_everything()
    assert search.find("'another':*", masking.positional) == search.Hits(numbers=[other.pk], behind=False)


def test_a_job_whose_words_cannot_be_written_holds_up_no_other_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vector = search._vector
    monkeypatch.setattr(search, "_vector", lambda some: "'" if "bad" in some else vector(some))
    jobs = [job_in("completed", name=name) for name in ("good one", "bad one", "good two")]
    index_everything()
    assert {job.pk for job in jobs} <= set(indexed())
    assert sorted(search.find("'good':*", masking.positional).numbers or []) == [jobs[0].pk, jobs[2].pk]
    for job, text in zip(jobs, ("fine", "fine", "bad"), strict=True):
        attempts(job.pk, [text])
    index_everything()
    assert sorted(search.find("'fine':*", masking.positional).numbers or []) == [jobs[0].pk, jobs[1].pk]
    assert caplog.text.count("left out of the index") == 2
    with connection.cursor() as cursor:
        assert search.fill(cursor, masking.positional) == 0, "each is tried once"


def attempts(job: int, messages: list[str], first: int = 1) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_attempt (job_id, run, outcome, error_class, message, finished_at)"
            " SELECT %s, %s - 1 + run, 'failed', 'ValueError', text, now() FROM unnest(%s::text[]) WITH ORDINALITY AS t (text, run)",
            [job, first, messages],
        )


def test_the_leader_s_thread_indexes(transactional_db: None) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name="threaded")
    stop = threading.Event()
    thread = threading.Thread(target=indexing.run, args=(stop, Load(leads=True)))
    thread.start()
    try:
        until(lambda: indexed() == [job.pk], timeout=20)
    finally:
        stop.set()
        thread.join(20)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_search")  # no model: pytest does not empty it
    assert not thread.is_alive()


def indexed() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT job FROM jobs_search")
        return [row[0] for row in cursor.fetchall()]
