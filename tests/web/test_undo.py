"""What was done to many jobs is taken back where that is possible; the taking back is an act like others, in the audit."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from jobs import batches, control, enqueue, undoing
from jobs.domain.actors import Actor, Source
from jobs.models import Audit, Batch, Job
from jobs.models.audit import Verb
from jobs.models.job import ClockTimestamp
from jobs.refusals import Refusal
from jobs.store import transitions
from jobs.store.transitions import Failure, Run
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.CODE)


def done(verb: Verb, jobs: list[int], **options: object) -> Batch:
    batch = batches.draft(verb, jobs, SARA)
    assert batches.confirm(batch.pk, SARA, **options)
    return batch


def values(name: str) -> list[object]:
    return list(Job.objects.order_by("id").values_list(name, flat=True))


def test_cancelled_jobs_wait_again_but_not_those_that_were_not_waiting() -> None:
    later = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=3600)
    retrying = job_in("pending").id
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_job SET attempts = 2, runs = 2, last_error = 'E: x', run_at = run_at + interval '1 hour' WHERE id = %s", [retrying]
        )
    before = [Job.objects.filter(pk=pk).values().get() for pk in (later.id, retrying)]
    jobs = [job_in("pending").id, job_in("pending").id, job_in("running").id, later.id]
    earlier = job_in("cancelled").id
    batch = done(Verb.CANCEL, [*jobs, retrying, earlier])
    control.reprocess([jobs[1]], by="omar")
    control.cancel([jobs[1]], by="omar")
    [back] = batches.undo(batch.pk, Actor(name="leila", source=Source.PAGE))
    assert values("status") == ["pending", "pending", "pending", "cancelled", "running", "cancelled"]
    back.refresh_from_db()
    assert (back.verb, back.ids, back.done, back.state) == ("restore", [later.id, retrying, jobs[0]], 3, "done")
    assert [Job.objects.filter(pk=pk).values().get() for pk in (later.id, retrying)] == before
    assert str(batch.pk) in batches.remark_text(back)
    record = Audit.objects.filter(actor="leila", job=jobs[0]).get()
    assert (record.job, record.verb, record.before["status"], record.after["status"]) == (jobs[0], "restore", "cancelled", "pending")
    assert batches.undo(batch.pk, SARA) == []


def test_what_is_decided_while_a_large_act_is_taken_back_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on in the background, some jobs at a time; a second click takes nothing back again."""
    jobs = [job_in("pending", priority=3).id for _ in range(3)]
    batch = done(Verb.PRIORITY, jobs, priority=5)
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    monkeypatch.setattr(batches, "_CHUNK", 1)
    [back] = batches.undo(batch.pk, SARA)
    batches.go_on()
    control.change_priority([jobs[2]], 9, by="omar")
    assert batches.undo(batch.pk, SARA) == []
    while batches.go_on():
        pass
    back.refresh_from_db()
    assert values("priority") == [3, 3, 9]
    assert (back.state, back.done, back.reasons) == ("done", 2, {"changed": 1})
    assert batches.undo(batch.pk, SARA) == []


@pytest.mark.parametrize("by", ["the same person, after it", "somebody else, while it ran"])
def test_a_job_that_another_act_changed_stays_as_that_left_it(by: str) -> None:
    """Its newest record is of the same verb."""
    job = job_in("pending", priority=1).id
    first = done(Verb.PRIORITY, [job, job_in("pending", priority=1).id], priority=5)
    if by.startswith("the same"):
        done(Verb.PRIORITY, [job], priority=9)
    else:
        control.change_priority([job], 9, by=Actor(name="omar", source=SARA.source))
        Batch.objects.filter(pk=first.pk).update(ended_at=ClockTimestamp())
    batches.undo(first.pk, SARA)
    assert values("priority") == [9, 1]


def test_what_the_same_person_does_by_hand_meanwhile_stays() -> None:
    """Nothing but the number of the act tells such a record from its own."""
    jobs = [job_in("pending", priority=5).id for _ in range(3)]
    act = batches.start(Verb.PRIORITY, jobs, SARA, pace=1, priority=2)
    batches.go_on()
    control.change_priority(jobs[:1], 9, SARA)  # it has had its turn
    control.change_priority(jobs[2:], 9, SARA)  # it never will
    assert batches.stop(act.pk, SARA)
    assert batches.undo(act.pk, SARA) == []
    assert values("priority") == [9, 5, 9]
    cancelled = job_in("pending").id
    act = batches.start(Verb.CANCEL, [cancelled, job_in("pending").id], SARA, pace=1)
    batches.go_on()
    control.reprocess([cancelled], SARA)
    control.cancel([cancelled], SARA)
    assert batches.stop(act.pk, SARA)
    assert batches.undo(act.pk, SARA) == []
    assert values("status") == ["pending"] * 3 + ["cancelled", "pending"]


def test_priorities_and_queues_come_back_each_to_its_own() -> None:
    jobs = [job_in("pending", priority=priority, queue=queue).id for priority, queue in ((1, "a"), (1, "b"), (3, "b"), (9, "c"))]
    first = done(Verb.PRIORITY, jobs, priority=9)
    assert len(batches.undo(first.pk, SARA)) == 2
    assert values("priority") == [1, 1, 3, 9]
    second = done(Verb.QUEUE, jobs, queue="z")
    control.change_queue([jobs[3]], "mine", by="omar")
    batches.undo(second.pk, SARA)
    assert values("queue") == ["a", "b", "b", "mine"]


def test_what_cannot_be_taken_back_says_so(admin_client: Client) -> None:
    job = job_in("failed").id
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_deadletterqueue")
    batch = done(Verb.DELETE, [job])
    assert batches.undo(batch.pk, SARA) == []
    assert b'id="undo"' not in admin_client.get(f"/jobs/batches/{batch.pk}/").content
    assert admin_client.post(f"/jobs/batches/{batch.pk}/undo/").status_code in (302, 403)
    assert Batch.objects.count() == 1


def test_the_button_of_the_page(admin_client: Client) -> None:
    batch = done(Verb.CANCEL, [job_in("pending").id])
    assert b'id="undo"' in admin_client.get(f"/jobs/batches/{batch.pk}/").content
    answer = admin_client.post(f"/jobs/batches/{batch.pk}/undo/")
    back = Batch.objects.latest("id")
    assert answer.headers["Location"] == f"/jobs/batches/{back.pk}/"
    assert values("status") == ["pending"]
    assert admin_client.get(f"/jobs/batches/{batch.pk}/undo/").url == f"/jobs/batches/{batch.pk}/"


def test_only_what_came_back_is_said_to_be_back(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what was refused, nor what goes on in the background."""

    def said(*jobs: int) -> list[str]:
        batch = done(Verb.CANCEL, list(jobs))
        while batches.go_on():
            pass
        if len(jobs) == 1:
            enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
        answer = sara.post(f"/jobs/batches/{batch.pk}/undo/", follow=True)
        return [str(message) for message in answer.context["messages"]]

    key = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one").id
    assert said(key) == ["1 job could not be put back: the page of the bulk action says why."]
    assert said(job_in("pending").id, job_in("pending").id) == ["2 jobs were put back as they were."]
    monkeypatch.setattr(batches, "AT_ONCE", 1)
    assert said(job_in("pending").id, job_in("pending").id) == []
    assert values("status")[-2:] == ["cancelled"] * 2


def test_a_job_whose_key_was_taken_meanwhile_stays_cancelled() -> None:
    old = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
    batch = done(Verb.CANCEL, [old.id])
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
    [back] = batches.undo(batch.pk, SARA)
    back.refresh_from_db()
    assert (back.done, back.reasons) == (0, {"key taken": 1})
    assert values("status") == ["cancelled", "pending"]


def test_a_job_that_was_stopped_while_it_ran_is_not_restored() -> None:
    job = job_in("running").id
    Job.objects.filter(pk=job).update(cancel_requested_at=ClockTimestamp())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET status = 'cancelled', finished_at = now() WHERE id = %s", [job])
    assert control.restore([job], SARA).done == []


def test_a_job_that_ended_itself_is_not_restored() -> None:
    """It raised Ignore: nobody has asked it to stop, and it had its run."""
    job = job_in("running").id
    with connection.cursor() as cursor:
        assert transitions.cancel_running(cursor, Run(id=job, runs=1), Failure(error_class="Ignore", message=""))
    assert control.restore([job], SARA).refused == {job: Refusal.NOT_WAITING}
    assert control.reprocess([job], SARA).done == [job]
    assert control.cancel([job], SARA).done == [job]
    assert control.restore([job], SARA).done == [job], "this time it waited"


def test_each_reader_sees_reasons_and_remarks_in_his_language(admin_client: Client) -> None:
    with translation.override("ar"):
        batch = done(Verb.CANCEL, [job_in("pending").id, job_in("completed").id])
        assert batches.undo(batch.pk, SARA)
    back = Batch.objects.latest("id")
    for language, reason, remark in (("en", "It has completed.", "Undoes bulk action"), ("ar", "اكتملت.", "تراجع عن الإجراء الجماعي")):
        admin_client.cookies["django_language"] = language
        assert reason.lower() in admin_client.get(f"/jobs/batches/{batch.pk}/").content.decode().lower()
        assert remark in admin_client.get(f"/jobs/batches/{back.pk}/").content.decode()


def test_what_an_earlier_version_stored_is_shown_as_it_is(admin_client: Client) -> None:
    batch = done(Verb.CANCEL, [job_in("pending").id])
    Batch.objects.filter(pk=batch.pk).update(reasons={"It is odd.": 2}, remark="Stopped by nobody.")
    content = admin_client.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert "It is odd." in content
    assert "Stopped by nobody." in content


def test_a_job_that_others_had_taken_the_place_of_stays_cancelled() -> None:
    job = job_in("running")
    with connection.cursor() as cursor:
        assert transitions.replace(cursor, Run(id=job.id, runs=job.runs))
    batch = done(Verb.CANCEL, [job.id])
    [back] = batches.undo(batch.pk, SARA)
    assert values("status") == ["cancelled"]
    back.refresh_from_db()
    assert back.reasons == {Refusal.NOT_WAITING: 1}


def test_what_was_taken_back_says_by_which_act(sara: Client) -> None:
    jobs = [job_in("pending", priority=number).id for number in (1, 3)]
    batch = done(Verb.PRIORITY, jobs, priority=9)
    page = f"/jobs/batches/{batch.pk}/"
    sara.post(f"{page}undo/")
    first, second = Batch.objects.exclude(pk=batch.pk).order_by("pk")
    content = sara.get(page).content.decode()
    for back in (first, second):
        assert f'href="/jobs/batches/{back.pk}/">by bulk action {back.pk}</a>' in content
        assert f'href="{page}">Undoes bulk action {batch.pk}.</a>' in sara.get(f"/jobs/batches/{back.pk}/").content.decode()
    assert 'id="undo"' not in content
    again = sara.post(f"{page}undo/", follow=True).content.decode()
    assert f"It has already been undone, by bulk action {first.pk}, {second.pk}." in again
    Batch.objects.filter(pk=batch.pk).delete()
    assert f'href="{page}"' not in sara.get(f"/jobs/batches/{first.pk}/").content.decode(), "it is not kept any more"


def test_an_act_that_could_take_nothing_back_took_nothing_back(sara: Client) -> None:
    old = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
    batch = done(Verb.CANCEL, [old.id])
    new = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, unique_key="one")
    batches.undo(batch.pk, SARA)
    content = sara.get(f"/jobs/batches/{batch.pk}/").content.decode()
    assert ("by act" in content, 'id="undo"' in content) == (False, True)
    control.cancel([new.id], by="omar")
    [back] = batches.undo(batch.pk, SARA)
    assert f"by bulk action {back.pk}</a>" in sara.get(f"/jobs/batches/{batch.pk}/").content.decode()


def test_an_act_that_takes_back_is_no_preview_to_confirm(sara: Client) -> None:
    batch = done(Verb.CANCEL, [job_in("pending").id])
    [back] = batches.undo(batch.pk, SARA)
    page = sara.post(f"/jobs/batches/{back.pk}/confirm/", follow=True).content.decode()
    assert "This is not your preview, or it has already been confirmed." in page
    assert Audit.objects.count() == 2


def test_the_records_of_a_large_act_are_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job_in("pending", priority=number).id for number in (1, 1, 3, 1, 3)]
    batch = done(Verb.PRIORITY, jobs, priority=9)
    monkeypatch.setattr(undoing, "_PIECE", 2)
    with CaptureQueriesContext(connection) as captured:
        ones, threes = batches.undo(batch.pk, SARA)
    assert (ones.ids, threes.ids) == ([jobs[0], jobs[1], jobs[3]], [jobs[2], jobs[4]])
    assert values("priority") == [1, 1, 3, 1, 3]
    read = [query["sql"] for query in captured.captured_queries if 'FROM "jobs_audit"' in query["sql"]]
    assert max(sum(str(job) in sql.split("IN (")[1].split(")")[0].split(", ") for job in jobs) for sql in read) == 2
