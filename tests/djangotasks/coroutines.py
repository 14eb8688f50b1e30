"""Coroutines in real workers; run by `tests/integration/test_django_tasks.py` with `tests.djangotasks.settings`."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.contrib.auth import get_user_model
from django.test import TransactionTestCase

from jobs import control
from jobs.models import Attempt, Job
from tests.djangotasks import tasks
from tests.djangotasks.cases import finished
from tests.waiting import until
from tests.workers import running_worker

if django.VERSION >= (6, 0):
    from django.tasks import TaskResultStatus
else:
    from django_tasks import TaskResultStatus


class Gevent(TransactionTestCase):
    pool = "gevent"

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.notes_file = self.folder / "notes"
        self.notes_file.touch()

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        environ = {"DJANGO_SETTINGS_MODULE": "tests.djangotasks.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": ""}
        with running_worker(self.folder / "log", pool=self.pool, **environ) as process:
            try:
                yield process
            except BaseException:
                print((self.folder / "log").read_text()[-6000:])
                raise

    def notes(self) -> list[str]:
        return self.notes_file.read_text().splitlines()

    def test_beside_plain_tasks(self) -> None:
        """A loop that runs must not forbid the other jobs of its worker their queries."""
        get_user_model().objects.create(username="one")
        with self.worker():
            results = [task.enqueue() for _ in range(20) for task in (tasks.count_users, tasks.count_users_plainly)]
            finished(*results)
        assert {result.status for result in results} == {TaskResultStatus.SUCCESSFUL}
        assert {result.return_value for result in results} == {1}

    def test_one_that_is_too_long_has_ended_before_its_next_attempt(self) -> None:
        """Twelve runs, of which each took a thread for ever from the ten in which gevent looks up names."""
        names = "abcd"
        with self.worker() as worker:
            late = [tasks.waits.using(backend="hasty").enqueue(str(self.notes_file), name) for name in names]
            finished(*late)
            assert {error.exception_class_path for result in late for error in result.errors} == {"jobs.domain.errors.JobTimeout"}
            for name in names:
                noted = [note for note in self.notes() if note[0] == name]
                self.assertEqual(noted, [f"{name} begins", f"{name} ends"] * 3)
            after = [tasks.count_users.using(backend="hasty").enqueue(), tasks.looks_up.using(backend="hasty").enqueue()]
            finished(*after)
            assert [(result.status, result.attempts) for result in after] == [(TaskResultStatus.SUCCESSFUL, 1)] * 2
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0

    def test_one_that_is_cancelled_has_ended(self) -> None:
        with self.worker():
            result = tasks.waits.enqueue(str(self.notes_file), "a")
            until(lambda: self.notes() == ["a begins"], timeout=30)
            control.cancel([Job.objects.get(task_id=result.id).id], "sara")
            finished(result)
            assert Job.objects.get(task_id=result.id).status == "cancelled"
            assert self.notes() == ["a begins", "a ends"]

    def test_one_that_waits_in_a_plain_function_keeps_no_other_from_its_queries(self) -> None:
        with self.worker():
            waiting = [tasks.waits_in_a_call.using(backend="patient").enqueue() for _ in range(3)]
            ids = list(Job.objects.values_list("id", flat=True))
            until(lambda: Job.objects.filter(status="running").count() == 3, timeout=30)
            quick = tasks.count_users.using(backend="patient").enqueue()
            finished(quick)
            assert (quick.status, quick.attempts) == (TaskResultStatus.SUCCESSFUL, 1)
            control.cancel(ids, "sara")
            finished(*waiting)
        assert set(Job.objects.filter(id__in=ids).values_list("status", flat=True)) == {"cancelled"}

    def test_one_that_cannot_be_ended_is_taken_over(self) -> None:
        with self.worker() as worker:
            result = tasks.does_not_end.using(backend="hasty").enqueue()
            until(Attempt.objects.exists, timeout=30)
            if self.pool == "prefork":  # the child ends, its parent makes another
                finished(result)
            else:
                assert worker.wait(20) == 70
        assert set(Attempt.objects.values_list("outcome", flat=True)) == {"timed out"}


class Prefork(Gevent):
    pool = "prefork"


class Threads(Gevent):
    pool = "threads"
    test_one_that_waits_in_a_plain_function_keeps_no_other_from_its_queries = None  # no exception reaches a thread in a call
