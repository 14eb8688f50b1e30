"""Run by `tests/integration/test_django_tasks.py` with `tests.djangotasks.settings`."""

from datetime import timedelta
from typing import Any

import django
from asgiref.sync import async_to_sync
from celery.contrib.testing.worker import start_worker
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import TransactionTestCase
from django.urls import reverse
from django.utils import timezone

from jobs import control, enqueue
from jobs.celery_app import settle
from jobs.domain.errors import JobFailed
from jobs.domain.outcomes import Outcome
from jobs.integrations.django_tasks import TASK, Backend, job_priority
from jobs.models import Job
from jobs.store import transitions
from jobs.store.transitions import Failure, Run
from task_queue_project.celery import app
from tests.djangotasks import tasks
from tests.waiting import until

if django.VERSION >= (6, 0):
    from django.tasks import TaskResultStatus, task_backends
    from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist, TaskResultMismatch
    from django.tasks.signals import task_enqueued, task_finished, task_started
else:
    from django_tasks import TaskResultStatus, task_backends
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
    from django_tasks.signals import task_enqueued, task_finished, task_started


def finished(*results: Any) -> None:
    for result in results:
        until(lambda result=result: (result.refresh(), result.is_finished)[1], timeout=30, every=0.05)


class Enqueue(TransactionTestCase):
    def test_a_task_becomes_a_row(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        result = tasks.add.using(priority=77, queue_name="mail", run_after=later).enqueue(1, y=2)
        job = Job.objects.get(task_id=result.id)
        assert (job.task, job.name, job.priority, job.queue, job.run_at, job.max_retries) == (
            TASK, "tests.djangotasks.tasks.add", 8, "mail", later, 0,
        )  # fmt: skip
        assert (result.status, result.args, result.kwargs, result.attempts) == (TaskResultStatus.READY, [1], {"y": 2}, 0)
        assert result == tasks.add.get_result(result.id)
        assert result.task.run_after == later
        assert Job.objects.get(task_id=tasks.add.enqueue(1).id).queue == "celery"
        patient = Job.objects.get(task_id=tasks.add.using(backend="patient").enqueue(1).id)
        assert (patient.max_retries, patient.timeout) == (2, 5)

    def test_async(self) -> None:
        async def both() -> None:
            result = await tasks.add.aenqueue(1)
            assert result == await tasks.add.aget_result(result.id)
            await result.arefresh()
            assert result.status == TaskResultStatus.READY

        async_to_sync(both)()

    def test_one_query_each(self) -> None:
        with self.assertNumQueries(1):
            result = tasks.add.enqueue(1)
        with self.assertNumQueries(1):
            tasks.add.get_result(result.id)

    def test_a_rollback_takes_it_back(self) -> None:
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            result = tasks.add.enqueue(1)
            raise ZeroDivisionError
        with self.assertRaises(TaskResultDoesNotExist):
            tasks.add.get_result(result.id)

    def test_what_cannot_be_accepted(self) -> None:
        for task, error in (
            (tasks.add.using, {"priority": 101}),
            (tasks.add.using, {"priority": -101}),
            (tasks.add.using, {"run_after": timezone.now().replace(tzinfo=None)}),
            (tasks.add.using, {"queue_name": "nowhere", "backend": "patient"}),
        ):
            with self.assertRaises(InvalidTask):
                task(**error)
        with self.assertRaises(TypeError):
            tasks.add.enqueue(object())
        assert not Job.objects.exists()

    def test_results_that_are_not_there(self) -> None:
        result = tasks.add.enqueue(1)
        for wrong in ("123", "", "\0", "no-such-id"):
            with self.assertRaises(TaskResultDoesNotExist):
                task_backends["default"].get_result(wrong)
        with self.assertRaises(TaskResultMismatch):
            tasks.fails.get_result(result.id)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_job SET args = '[\"no.such.module.task\"]'")
        with self.assertRaises(TaskResultDoesNotExist):
            tasks.add.get_result(result.id)

    def test_priorities_keep_their_order(self) -> None:
        mapped = [job_priority(priority) for priority in range(-100, 101)]
        assert mapped == sorted(mapped)
        assert (mapped[0], job_priority(0), mapped[-1], set(mapped)) == (0, 5, 9, set(range(10)))

    def test_a_cancelled_job_is_failed(self) -> None:
        result = tasks.add.enqueue(1)
        control.cancel([Job.objects.get(task_id=result.id).id], "test")
        result.refresh()
        assert (result.status, result.errors) == (TaskResultStatus.FAILED, [])
        assert list(task_backends["default"].check()) == []

    def test_what_ended_a_run_from_outside_is_no_error_of_the_task(self) -> None:
        """A run that was given back at a shutdown; one that was cancelled while it ran."""
        result = tasks.add.enqueue(1)
        job = Job.objects.get(task_id=result.id)
        with connection.cursor() as cursor:
            for runs in (1, 2):
                assert transitions.claim(
                    cursor, Run(id=job.id, runs=runs), task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority
                )
                if runs == 1:
                    assert transitions.release(cursor, Run(id=job.id, runs=1), failure=settle.INTERRUPTED)
                    result.refresh()
                    assert (result.status, result.errors, result.attempts) == (TaskResultStatus.READY, [], 1)
            control.cancel([job.id], "test")
            stopped = Failure(error_class="JobCancelled", message="", outcome=Outcome.CANCELLED)
            assert transitions.cancel_running(cursor, Run(id=job.id, runs=2), stopped)
        result.refresh()
        assert (result.status, result.errors, result.attempts) == (TaskResultStatus.FAILED, [], 2)

    def test_each_error_has_a_class(self) -> None:
        """Also one of the engine, which raised none."""
        result = tasks.add.enqueue(1)
        job = Job.objects.get(task_id=result.id)
        run = Run(id=job.id, runs=1)
        with connection.cursor() as cursor:
            assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
            assert transitions.bury(cursor, run, Failure(error_class="Unwritable", message="no"), task=job.task)
        result.refresh()
        assert [error.exception_class for error in result.errors] == [JobFailed]

    def test_secrets_among_positional_arguments_are_hidden(self) -> None:
        """Their names are those of the function's signature, not of the job type that runs it."""
        result = tasks.login.enqueue("bobby", "hunter2", "swordfish", "sesame")
        assert tasks.login.get_result(result.id).args == result.args == ["bobby", "hunter2", "swordfish", "sesame"]
        self.client.force_login(get_user_model().objects.create_superuser("sara"))
        id = Job.objects.get().id
        job, create, jobs = reverse("jobs:detail", args=[id]), reverse("jobs:create"), reverse("jobs:list")
        for page in (job, f"{create}?from={id}", reverse("admin:jobs_job_change", args=[id])):
            text = self.client.get(page).content.decode()
            assert "bobby" in text, page
            assert [secret for secret in ("hunter2", "swordfish", "sesame") if secret in text] == [], page
        found = {word: job in self.client.get(jobs, {"q": word}).content.decode() for word in ("bobby", "hunter2", "sesame")}
        assert found == {"bobby": True, "hunter2": False, "sesame": False}


class Running(TransactionTestCase):
    """With a worker in a thread."""

    def setUp(self) -> None:
        worker = start_worker(app, pool="solo", perform_ping_check=False, queues=["celery", "mail"])
        worker.__enter__()
        self.addCleanup(worker.__exit__, None, None, None)

    def test_results_and_times(self) -> None:
        result = tasks.add.using(queue_name="mail", priority=-3).enqueue(1, y=2)
        finished(result)
        assert (result.status, result.return_value, result.errors, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, [], 1)
        assert result.enqueued_at <= result.started_at <= result.finished_at
        assert result.last_attempted_at == result.started_at
        assert "@" in result.worker_ids[0]

    def test_arguments_that_are_kept_by_name(self) -> None:
        calls = [["bobby", "hunter2", "swordfish"], [], ["bobby", *map(str, range(12))]]
        results = [tasks.login.enqueue(*call) for call in calls]
        finished(*results)
        assert [result.status for result in results] == ["SUCCESSFUL", "FAILED", "SUCCESSFUL"]
        assert [results[at].return_value for at in (0, 2)] == [[1, *calls[0]], [1, *calls[2]]]

    def test_a_job_that_the_form_makes(self) -> None:
        """It names the path, and people write lists."""
        kwargs = {
            "path": "tests.djangotasks.tasks.login",
            "args": ["bobby"],
            "kwargs": {"password": "x"},
            "options": [0, "default", "default", None],
        }
        job = enqueue(TASK, kwargs=kwargs)
        finished(result := tasks.login.get_result(job.task_id))
        assert result.return_value == [1, "bobby", "x"]

    def test_errors(self) -> None:
        with self.assertLogs("jobs.worker", "CRITICAL") as logged:
            results = {kind: tasks.fails.enqueue(kind) for kind in ("value", "exit", "result", "own")}
            finished(*results.values())
            until(lambda: len(logged.output) == len(results))
        assert all("(tests.djangotasks.tasks.fails) failed for good" in line for line in logged.output), logged.output
        classes = {kind: result.errors[0].exception_class for kind, result in results.items()}
        assert classes == {"value": ValueError, "exit": SystemExit, "result": TypeError, "own": tasks.OwnError}, classes
        for result in results.values():
            assert (result.status, len(result.errors), result.attempts) == (TaskResultStatus.FAILED, 1, 1)
            assert "Traceback" in result.errors[0].traceback
            with self.assertRaisesMessage(ValueError, "Task failed"):
                _ = result.return_value

    def test_context_retries_and_signals(self) -> None:
        told: list[Any] = []
        receivers = [
            (signal, lambda sender, task_result, word=word, **_: told.append((word, task_result.id, task_result.attempts, sender)))
            for signal, word in ((task_enqueued, "enqueued"), (task_started, "started"), (task_finished, "finished"))
        ]
        for signal, receiver in receivers:
            signal.connect(receiver)
            self.addCleanup(signal.disconnect, receiver)
        result = tasks.attempt.using(backend="patient", priority=42).enqueue(2)
        finished(result)
        assert result.return_value == {"attempt": 3, "id": result.id, "priority": 42}
        assert [error.exception_class for error in result.errors] == [LookupError, LookupError]
        assert result.attempts == 3
        until(lambda: len(told) == 5)
        assert [(word, attempts) for word, _, attempts, _ in told] == [
            ("enqueued", 0), ("started", 1), ("started", 2), ("started", 3), ("finished", 3),
        ]  # fmt: skip
        assert {(id, sender) for _, id, _, sender in told} == {(result.id, Backend)}

    def test_the_end_of_a_failure_is_told(self) -> None:
        told: list[Any] = []

        def receiver(sender: Any, task_result: Any, **_: Any) -> None:
            told.append(task_result)

        task_finished.connect(receiver)
        self.addCleanup(task_finished.disconnect, receiver)
        result = tasks.fails.enqueue("own")
        until(lambda: told, timeout=30)
        assert (told[0].id, told[0].status, told[0].attempts) == (result.id, TaskResultStatus.FAILED, 1)
        assert [error.exception_class for error in told[0].errors] == [tasks.OwnError]

    def test_a_path_that_is_no_task_runs_nothing(self) -> None:
        result = tasks.add.enqueue(1)
        with connection.cursor() as cursor:
            kwargs = '{"args": ["true"], "kwargs": {}, "options": [0, "default", "default", null]}'
            cursor.execute("INSERT INTO jobs_job (task, args, kwargs) VALUES (%s, %s, %s) RETURNING id", [TASK, '["os.system"]', kwargs])
            id = cursor.fetchone()[0]
        finished(result)
        until(lambda: Job.objects.get(id=id).last_error)
        assert "os.system is not a task" in Job.objects.get(id=id).last_error
