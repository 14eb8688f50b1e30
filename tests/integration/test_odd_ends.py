"""Ways for a body to end that few think of: each job reaches its end, and its slot comes back."""

from collections.abc import Iterator

import pytest
from celery import chain, chord, group
from celery.exceptions import Reject, TaskRevokedError
from celery.result import AsyncResult, allow_join_result
from django.contrib.auth import get_user_model

from jobs import control, enqueue
from jobs.domain.errors import TaskEnded, TaskExit
from jobs.models import DeadLetterQueue, Job
from tests.flows import GET, job_of, s, si, task
from tests.standing import on
from tests.taskapp.unreadable import UNREADABLE
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
ON_TWO, ON_MOST, ON_ALL = on("prefork"), on("prefork", "threads"), on("prefork", "threads", "solo")


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


@ON_ALL
def test_what_is_no_exception_ends_the_task_and_not_its_worker(standing_worker: str) -> None:
    """`sys.exit()` in a task, a cancelled coroutine, a gevent.Timeout of the task's own: slots of such jobs were never free again."""
    kinds = ["exit", "interrupt", "cancelled", *(["timeout"] if standing_worker == "gevent" else [])]
    sent = [task("exits").delay(kind) for kind in kinds]
    for result in sent:
        with pytest.raises((TaskExit, TaskEnded)):
            result.get(timeout=GET)
    assert {job_of(result).status for result in sent} == {"failed"}
    assert {job_of(result).losses for result in sent} == {0}
    assert "TaskExit: SystemExit: bye" in job_of(sent[0]).last_error
    assert "in exits" in sent[0].traceback
    retried = enqueue("t.exits", args=["exit"], max_retries=1, name="made here")
    until(lambda: Job.objects.get(id=retried.id).status == "failed", timeout=GET)
    assert Job.objects.get(id=retried.id).attempts == 2
    assert [task("same").delay(n).get(timeout=GET) for n in range(4)] == [0, 1, 2, 3]
    assert DeadLetterQueue.objects.count() == len(sent) + 1


@ON_ALL
def test_an_exception_that_cannot_be_looked_at_is_a_failure_like_any_other(standing_worker: str) -> None:
    """Its job ran again and again, without an attempt, a loss or a dead letter: what stood for its end had raised."""
    kinds = [*UNREADABLE]
    called = {how: job_of(task("unreadable").delay(how)).id for how in kinds}
    retried = {how: enqueue("t.unreadable", args=[how], max_retries=1).id for how in kinds}
    asking = {how: job_of(task("unreadable").delay(how, asks=True)).id for how in kinds}
    until(lambda: Job.objects.filter(finished_at=None).count() == 0, timeout=2 * GET)
    assert task("same").delay(1).get(timeout=GET) == 1
    for found, attempts in ((called, 1), (retried, 2), (asking, 2)):
        ends = {how: Job.objects.values_list("status", "attempts", "runs", "losses").get(id=id) for how, id in found.items()}
        assert ends == dict.fromkeys(kinds, ("failed", attempts, attempts, 0))
    letters = DeadLetterQueue.objects.all()
    assert letters.count() == 3 * len(kinds)
    assert {letter.error_class for letter in letters} == {"Unreadable"}
    assert all("no response" in letter.message or "Unreadable" in letter.message for letter in letters)
    assert all("in raises_unreadable" in letter.traceback for letter in letters if letter.job_id not in asking.values())


@ON_ALL
def test_what_comes_from_an_exception_that_cannot_be_looked_at_ends_as_it_says(standing_worker: str) -> None:
    """A `self.retry()` in the `except` of such a one was told by a traceback that nobody could write."""
    attempts = {"retry": 2, "reject": 1, "raise": 1}
    sent = {(how, way): task("meets_unreadable").delay(how, way) for how in UNREADABLE for way in attempts}
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=2 * GET)
    assert task("same").delay(1).get(timeout=GET) == 1
    ends = {of: (job.status, job.attempts, job.runs, job.losses) for of, result in sent.items() for job in [job_of(result)]}
    assert ends == {(how, way): ("failed", attempts[way], attempts[way], 0) for how, way in sent}
    raised = DeadLetterQueue.objects.filter(job__in=[job_of(result).id for (_, way), result in sent.items() if way == "raise"])
    assert {letter.error_class for letter in raised} == {"LookupError"}


@ON_TWO
def test_a_retry_that_nobody_planned_is_one_of_the_task_s_own(standing_worker: str) -> None:
    """`raise Retry()`, and a task called as a function that asks to be run again: stock Celery never runs them again."""
    sent = [task("raises_retry").delay(when) for when in ("", "number", "time")]
    assert [result.get(timeout=GET) for result in sent] == [1, 1, 1]
    assert task("calls_as_function").delay().get(timeout=GET) == 1
    always = task("always_raises_retry").delay()
    with pytest.raises(ConnectionError, match="away"):
        always.get(timeout=GET)
    assert job_of(always).attempts == 2
    swallowed = task("swallows_its_retry").delay()
    assert swallowed.get(timeout=GET) == 1
    assert task("catches_its_replacement").delay().get(timeout=GET) == 1
    assert not Job.objects.filter(task="t.told_of").exists(), "what its first attempt was replaced by is not sent with the retry"
    assert [task("same").delay(n).get(timeout=GET) for n in range(4)] == [0, 1, 2, 3]
    assert DeadLetterQueue.objects.count() == 1


@ON_TWO
def test_before_start_may_end_a_run_as_the_body_may(standing_worker: str) -> None:
    sent = {how: task("behind_a_gate").delay(how) for how in ("", "retry", "ignore", "reject", "again")}
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    found = {how: (job_of(result).status, job_of(result).attempts) for how, result in sent.items()}
    assert found == {
        "": ("completed", 1), "retry": ("completed", 2), "ignore": ("cancelled", 1), "reject": ("failed", 1), "again": ("completed", 1),
    }  # fmt: skip
    assert [entry.error_class for entry in DeadLetterQueue.objects.all()] == ["Reject"]


@ON_MOST
def test_a_job_that_has_told_its_progress_can_be_cancelled(standing_worker: str) -> None:
    """The state that it set by hand stood for its end, so that whoever waited did so for ever."""
    cancelled, revoked, linked = task("reports").delay(), task("reports").delay(), chain(task("reports").si(), s("same")).delay()
    until(lambda: {result.state for result in (cancelled, revoked, linked.parent)} == {"LOADING"}, timeout=GET)
    control.cancel([job_of(cancelled).id, job_of(linked.parent).id], by="sara")
    revoked.revoke(terminate=True)
    for result in (cancelled, revoked, linked):
        with pytest.raises(TaskRevokedError):
            result.get(timeout=GET)
    assert [result.state for result in (cancelled, revoked, linked.parent)] == ["REVOKED"] * 3


@ON_TWO
def test_a_job_that_is_rejected_for_good_tells_its_chord_its_chain_and_its_errbacks(standing_worker: str) -> None:
    """In its body, and before its start."""
    noted = get_user_model().objects.filter(username="new Reject")
    for make in (lambda: si("rejects_for_good"), lambda: si("behind_a_gate", "reject")):
        noted.delete()
        chained = chain(make(), s("same"), s("same")).apply_async(link_error=s("note_new"))
        with pytest.raises(Reject, match="no entry"):
            AsyncResult(chained.id).get(timeout=GET)
        header = chord([make(), si("same", 1)], s("total")).delay()
        until(lambda id=header.id: AsyncResult(id).state == "FAILURE", timeout=GET)  # type: ignore[misc]
        assert "no entry" in str(AsyncResult(header.id).result)
        until(noted.exists, timeout=GET)


@ON_TWO
def test_a_link_that_cannot_be_sent_fails_its_job_with_that_error(standing_worker: str) -> None:
    bad = s("strict", 1, 2, 3)
    linked = task("same").apply_async((1,), link=bad, link_error=s("note_new"))
    chained = chain(s("same", 1), bad, s("same")).delay()
    grouped = chain(s("same", 1), group(s("same"), bad), s("total")).delay()
    header = chord([chain(s("same", 1), bad), s("same", 1)], s("total")).delay()
    for result in (linked, AsyncResult(chained.id), chained.parent.parent, AsyncResult(grouped.id)):
        with pytest.raises(TypeError, match="takes 2 positional arguments but 4 were given"):
            result.get(timeout=GET)
    assert "Traceback (most recent call last)" in linked.traceback
    until(lambda: AsyncResult(header.id).state == "FAILURE", timeout=GET)
    assert "takes 2 positional arguments" in str(AsyncResult(header.id).result)
    until(get_user_model().objects.filter(username="new TypeError").exists, timeout=GET)
    assert {entry.error_class for entry in DeadLetterQueue.objects.all()} == {"TypeError"}


@ON_TWO
def test_a_hook_that_raises_is_the_failure_and_the_traceback_says_both(standing_worker: str) -> None:
    chained = chain(s("with_broken_hooks"), s("same")).apply_async(link_error=s("note_new"))
    for result in (chained.parent, AsyncResult(chained.id)):
        with pytest.raises(KeyError, match="broken hook"):
            result.get(timeout=GET)
    traceback = chained.parent.traceback
    assert 0 < traceback.find("ValueError: the task's own") < traceback.find("KeyError: 'broken hook'")
    until(get_user_model().objects.filter(username="new KeyError").exists, timeout=GET)
    assert DeadLetterQueue.objects.get().error_class == "KeyError"


@ON_TWO
def test_errbacks_that_a_task_has_set_while_it_ran_are_called_and_no_others(standing_worker: str) -> None:
    set_here = task("sets_errbacks").delay("t.note_old", "t.note_new")
    others = task("sets_errbacks").apply_async(("t.note_old",), link_error=s("note_new"))
    none = task("sets_errbacks").apply_async((), link_error=s("note_old"))
    until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=GET)
    noted = get_user_model().objects.values_list("username", flat=True)
    until(lambda: set(noted.all()) >= {f"old {set_here.id}", "new ValueError", f"old {others.id}"}, timeout=GET)
    until(lambda: Job.objects.filter(task="t.note_old", status="completed").count() == 2, timeout=GET)
    assert job_of(none).status == "failed"
    assert noted.filter(username=f"old {none.id}").count() == 0
