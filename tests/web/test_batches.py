"""Bulk actions go on in the background: exactly the set asked for, at the pace asked for, after the trial."""

import re
import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.db import DataError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from jobs import batches, control
from jobs.domain.actors import Actor, Source
from jobs.leader import batches as thread
from jobs.leader.load import Load
from jobs.models import Audit, Batch, DeadLetterQueue, Job
from jobs.models.audit import Verb
from jobs.models.batch import BatchState
from jobs.store import batch_numbers, transitions
from jobs.store.transitions import Failure, Run
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.CODE)


def entries() -> list[int]:
    return list(DeadLetterQueue.objects.order_by("id").values_list("id", flat=True))


def run(job: int, *, fail: bool = False) -> None:
    """A worker's run of this job."""
    with connection.cursor() as cursor:
        found = Job.objects.get(id=job)
        this = Run(id=job, runs=found.runs + 1)
        assert transitions.claim(cursor, this, task_id=found.task_id, worker=1, queue=found.queue, priority=found.priority)
        if fail:
            transitions.bury(cursor, this, Failure(error_class="ValueError", message="no"), task=found.task)
        else:
            transitions.complete(cursor, this, result="null")


def finish() -> None:
    while batches.go_on():
        pass


def test_an_act_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[BaseException] = []
    bad, *good = [job_in("pending").id for _ in range(3)]
    cancel = control.cancel

    def refuses(ids: Any, by: Any, **more: Any) -> Any:
        if bad in ids:
            raise DataError("unsupported Unicode escape sequence")
        return cancel(ids, by, **more)

    first, second = batches.start(Verb.CANCEL, [bad], SARA), batches.start(Verb.CANCEL, good, SARA)
    monkeypatch.setattr(control, "cancel", refuses)
    monkeypatch.setattr(batches._complaint, "say", said.append)
    batches.go_on()
    assert (Batch.objects.get(pk=first.pk).state, Batch.objects.get(pk=second.pk).state) == ("running", "done")
    assert list(map(str, said)) == ["unsupported Unicode escape sequence"]
    monkeypatch.undo()
    batches.go_on()
    assert Batch.objects.get(pk=first.pk).state == "done"


def test_exactly_the_set_has_its_turn_and_is_recorded() -> None:
    jobs = [job_in("pending").id for _ in range(5)]
    batch = batches.start(Verb.CANCEL, jobs, SARA)
    job_in("completed")
    control.cancel([jobs[0]], by="omar")
    late = job_in("pending")
    finish()
    batch.refresh_from_db()
    assert (batch.state, batch.place, batch.done, sum(batch.reasons.values())) == (BatchState.DONE, 5, 4, 1)
    late.refresh_from_db()
    assert late.status == "pending"
    assert Audit.objects.filter(actor="sara", source="code", verb="cancel").count() == 4


def test_arguments_and_priority_are_changed_and_the_rest_is_kept() -> None:
    job = job_in("failed")
    with connection.cursor() as cursor:
        cursor.execute('UPDATE jobs_job SET kwargs = \'{"z": 1e16, "seconds": 5, "a": "\\u0000"}\'')
    batches.start(Verb.REPROCESS, entries(), SARA, entries=True, arguments={"seconds": 7, "new": None}, priority=2)
    finish()
    job.refresh_from_db()
    assert (job.status, job.priority, job.kwargs) == ("pending", 2, {"z": 1e16, "seconds": 7, "a": "\0", "new": None})
    assert list(job.kwargs) == ["z", "seconds", "a", "new"]
    assert DeadLetterQueue.objects.get().resolution == "reprocessed"


def test_the_trial_goes_first_and_the_rest_when_it_completed() -> None:
    jobs = [job_in("failed").id for _ in range(4)]
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, trial=True)
    finish()
    finish()
    assert list(Job.objects.order_by("id").values_list("status", flat=True)) == ["pending", "failed", "failed", "failed"]
    run(jobs[0])
    finish()
    assert list(Job.objects.order_by("id").values_list("status", flat=True)) == ["completed", "pending", "pending", "pending"]
    batch.refresh_from_db()
    assert (batch.state, batch.done) == (BatchState.DONE, 4)


def test_a_trial_of_one_job_says_nothing_of_others() -> None:
    job = job_in("failed")
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, trial=True)
    finish()
    run(job.id, fail=True)
    finish()
    batch.refresh_from_db()
    with translation.override("en"):
        assert batches.remark_text(batch) == f"The trial (job {job.id}) did not complete."


def test_a_trial_that_fails_stops_the_rest() -> None:
    jobs = [job_in("failed").id for _ in range(3)]
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, trial=True)
    finish()
    run(jobs[0], fail=True)
    finish()
    batch.refresh_from_db()
    assert (batch.state, batch.done) == (BatchState.STOPPED, 1)
    with translation.override("en"):
        assert batches.remark_text(batch) == f"The trial (job {jobs[0]}) did not complete: the others stay as they are."
    assert list(Job.objects.values_list("status", flat=True)) == ["failed"] * 3


def test_a_trial_whose_job_was_deleted_stops_the_rest() -> None:
    jobs = [job_in("failed").id for _ in range(2)]
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, trial=True)
    finish()
    Job.objects.filter(pk=jobs[0]).delete()
    finish()
    batch.refresh_from_db()
    assert batch.state == BatchState.STOPPED
    assert Job.objects.get().status == "failed"


def test_the_trial_is_the_first_that_is_still_open() -> None:
    jobs = [job_in("failed").id for _ in range(3)]
    control.reprocess([jobs[0]], by="omar")
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, trial=True)
    finish()
    batch.refresh_from_db()
    assert batch.trial_job == jobs[1]


def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        job_in("failed")
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, pace=1)  # a step may take most of a second
    for second, expected in ((0, 1), (0, 1), (1, 2), (0, 2), (25, 3), (0, 3), (1, 4), (2, 5), (60, 6)):
        if batch.started_at:
            with connection.cursor() as cursor:  # as if so many seconds had passed since the last step; a leader may have been away
                cursor.execute("UPDATE jobs_batch SET started_at = clock_timestamp() - %s", [timedelta(seconds=second + 0.01)])
        batches.go_on()
        batch.refresh_from_db()
        assert Job.objects.filter(status="pending").count() == expected, second
    assert batch.state == BatchState.DONE


def test_what_is_stopped_stays_so() -> None:
    for _ in range(3):
        job_in("failed")
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, pace=1)
    batches.go_on()
    assert batches.stop(batch.pk, SARA)
    assert not batches.stop(batch.pk, SARA)
    finish()
    assert Job.objects.filter(status="pending").count() == 1


@pytest.mark.parametrize("lost", ["account", "active", "right", "nothing"])
@pytest.mark.parametrize("verb", [Verb.REPROCESS, Verb.PRIORITY, Verb.DELETE])
def test_an_act_ends_with_the_rights_of_who_began_it(sara: Client, verb: Verb, lost: str) -> None:
    right = {Verb.REPROCESS: "triage_deadletterqueue", Verb.PRIORITY: "control_job", Verb.DELETE: "delete_job"}[verb]
    omar, group = get_user_model().objects.create_user("omar", "", "x"), Group.objects.create(name="those who may")
    group.permissions.add(Permission.objects.get(codename=right))
    omar.groups.add(group)
    jobs = [job_in("cancelled" if verb is Verb.DELETE else "failed").id for _ in range(3)]
    ids = entries() if verb is Verb.REPROCESS else jobs
    by = Actor(name="omar", source=Source.PAGE)
    batch = batches.start(verb, ids, by, entries=verb is Verb.REPROCESS, pace=1, **({"priority": 9} if verb is Verb.PRIORITY else {}))
    batches.go_on()
    {
        "account": omar.delete,
        "active": partial(get_user_model().objects.filter(pk=omar.pk).update, is_active=False),
        "right": group.permissions.clear,
        "nothing": str,
    }[lost]()
    Batch.objects.update(started_at=timezone.now() - timedelta(seconds=2))
    batches.go_on()
    batch.refresh_from_db()
    if lost == "nothing":
        assert (batch.state, batch.place) == (BatchState.RUNNING, 2)
        return
    assert (batch.state, batch.place, batch.ended_at is not None) == (BatchState.STOPPED, 1, True)
    assert "Stopped: omar no longer has permission to do this." in sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    act = Audit.objects.get(verb="stop")
    assert (act.actor, act.name, "omar" in act.note) == ("leader", str(batch.pk), True)
    assert "bulk action stopped" in sara.get("/jobs/audit/?verb=stop").content.decode()


def test_a_trial_waits_for_nobody_who_may_not_go_on() -> None:
    omar = get_user_model().objects.create_superuser("omar", "", "x")
    jobs = [job_in("failed").id for _ in range(2)]
    batch = batches.start(Verb.REPROCESS, entries(), Actor(name="omar", source=Source.PAGE), entries=True, trial=True)
    finish()
    omar.delete()
    run(jobs[0])
    finish()
    batch.refresh_from_db()
    assert (batch.state, batch.place) == (BatchState.STOPPED, 1)


def test_who_stops_an_act_stands_in_the_audit() -> None:
    batch = batches.start(Verb.REPROCESS, [job_in("failed").id], SARA, pace=1)
    assert batches.stop(batch.pk, SARA)
    assert Audit.objects.values_list("actor", "verb", "name", "note").get() == ("sara", "stop", str(batch.pk), "")


def test_a_crash_in_the_middle_gives_nothing_its_turn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job_in("pending").id for _ in range(3)]
    batch = batches.start(Verb.PRIORITY, jobs, SARA, priority=9)

    def broken(*_: Any, **__: Any) -> None:
        raise SystemExit("killed before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "save", broken)
        with pytest.raises(SystemExit):
            batches.go_on()
    assert Job.objects.filter(priority=9).count() == 0
    finish()
    batch.refresh_from_db()
    assert (batch.done, Audit.objects.count()) == (3, 3)


def test_the_page_of_a_reprocess_says_what_became_of_its_jobs(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job_in("failed") for _ in range(3)]
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True)
    finish()
    admin_client.cookies["django_language"] = "en"

    def page() -> str:
        cache.clear()
        return admin_client.get(f"/jobs/batches/{batch.pk}/").content.decode()

    assert re.search(r"Queued</span> <b>3</b>", page())
    run(jobs[0].id)
    assert re.search(r"Queued</span> <b>2</b>.*Completed</span> <b>1</b>", page())
    assert f'hx-get="/jobs/batches/{batch.pk}/"' in page(), "two of them have not ended"
    control.cancel([job.id for job in jobs], SARA)
    assert f'hx-get="/jobs/batches/{batch.pk}/"' not in page()
    monkeypatch.setattr(batches, "FOLLOWED", 2)
    assert "Completed</span> <b>" not in page()


def test_a_preview_has_nothing_to_stop(sara: Client) -> None:
    batch = batches.draft(Verb.CANCEL, [job_in("pending").id], SARA)
    page = sara.post(f"/jobs/batches/{batch.pk}/stop/", follow=True).content.decode()
    assert "This is only a preview: there is nothing to stop." in page
    assert "already ended" not in page
    assert batches.confirm(batch.pk, SARA)
    page = sara.post(f"/jobs/batches/{batch.pk}/stop/", follow=True).content.decode()
    assert "It had already ended." in page


@pytest.mark.parametrize("kwargs", ["[1]", '"x"', '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}", '{"a": ' + "9" * 5_000 + "}"])
def test_a_job_whose_arguments_cannot_be_read_keeps_them_and_holds_up_no_other(kwargs: str) -> None:
    odd, job = job_in("failed"), job_in("failed")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET kwargs = %s WHERE id = %s", [kwargs, odd.id])
    batch = batches.start(Verb.REPROCESS, entries(), SARA, entries=True, arguments={"seconds": 7})
    finish()
    batch.refresh_from_db()
    assert (batch.state, batch.done, batch.reasons) == (BatchState.DONE, 1, {"unreadable": 1})
    odd.refresh_from_db()
    job.refresh_from_db()
    assert (odd.status, job.status, job.kwargs) == ("failed", "pending", {"seconds": 7})
    assert control.reprocess([odd.id], SARA).done == [odd.id], "as it is it may run again"


@pytest.mark.parametrize("pace", [None, 1_000])
def test_a_step_of_a_large_act_neither_reads_nor_writes_all_its_numbers(monkeypatch: pytest.MonkeyPatch, pace: int | None) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    jobs = [job_in("pending").id for _ in range(5)]
    batch = batches.start(Verb.PRIORITY, jobs, SARA, pace=pace, priority=9)
    with CaptureQueriesContext(connection) as captured:
        batches.go_on()
    assert [query["sql"] for query in captured.captured_queries if '"ids"' in query["sql"]] == []
    assert list(Job.objects.filter(priority=9).order_by("pk").values_list("pk", flat=True)) == jobs[: 1 if pace else 2]
    batch.refresh_from_db()
    assert (batch.ids, batch.place) == (jobs, 1 if pace else 2)
    Batch.objects.update(started_at=timezone.now() - timedelta(seconds=2))
    batches.go_on()
    batch.refresh_from_db()
    assert batch.place == (3 if pace else 4)


def test_numbers_that_were_written_without_spaces_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 2)
    jobs = [job_in("pending").id for _ in range(3)]
    batches.start(Verb.PRIORITY, jobs, SARA, priority=9)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_batch SET ids = to_json(%s::bigint[])", [jobs])
    finish()
    assert Job.objects.filter(priority=9).count() == 3


def test_the_leader_keeps_no_statements_of_its_steps(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """With DEBUG Django would keep them, in the thread that goes on with the acts."""
    settings.DEBUG = True
    stop, load, kept = threading.Event(), Load(), []

    def step() -> bool:
        kept.append(len(connection.queries_log))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if len(kept) == 4:
            stop.set()
        return len(kept) != 2  # the third comes after a pause

    monkeypatch.setattr(batches, "go_on", step)
    monkeypatch.setattr(thread, "EACH", 0.01)
    load.acts.set()
    running = threading.Thread(target=thread.run, args=(stop, load))
    running.start()
    running.join(timeout=30)
    assert kept == [0, 0, 0, 0]


def test_the_numbers_of_a_large_act_are_not_taken_apart_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200,000, which are a thousand steps, that took longer than the act itself."""
    monkeypatch.setattr(batches, "_CHUNK", 4)
    numbers = [job_in("pending").id for _ in range(25)]
    batch = batches.start(Verb.CANCEL, numbers, SARA)
    with CaptureQueriesContext(connection) as captured:
        finish()
    assert len([query for query in captured.captured_queries if "string_to_array" in query["sql"]]) == 1
    assert (Batch.objects.get(pk=batch.pk).done, Job.objects.filter(status="cancelled").count()) == (25, 25)


def test_an_act_with_the_number_of_another_one_has_its_own_jobs() -> None:
    """The database was restored from a copy, and its sequences with it."""
    first, second = [job_in("pending").id for _ in range(2)]
    batch = batches.start(Verb.CANCEL, [first], SARA)
    finish()
    Batch.objects.all().delete()
    Batch.objects.filter(pk=batches.start(Verb.CANCEL, [second], SARA).pk).update(id=batch.pk)
    finish()
    assert set(Job.objects.filter(status="cancelled").values_list("pk", flat=True)) == {first, second}


def test_more_numbers_are_read_where_those_that_were_read_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 4)
    monkeypatch.setattr(batch_numbers, "AHEAD", 6)
    numbers = [job_in("pending").id for _ in range(15)]
    batch = batches.start(Verb.CANCEL, numbers, SARA)
    finish()
    assert (Batch.objects.get(pk=batch.pk).place, Batch.objects.get(pk=batch.pk).done) == (15, 15)
