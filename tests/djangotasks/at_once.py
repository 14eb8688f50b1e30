"""The backend as Django's own tests of its immediate and dummy backends need it."""

from typing import Any, Final

from django.db import connection
from django.tasks.signals import task_finished

from jobs.integrations.django_tasks import Backend
from jobs.models import Job
from tests.waiting import until

TIMEOUT: Final = 30.0  # seconds


class AtOnce(Backend):
    """`enqueue` answers when a real worker has run the job."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """The finished result, once `task_finished` was sent."""
        told: set[str] = set()

        def tell(sender: Any, task_result: Any, **_: Any) -> None:
            told.add(task_result.id)

        task_finished.connect(tell)
        try:
            result = super().enqueue(task, args, kwargs)
            until(lambda: result.id in told, timeout=TIMEOUT)
            until(lambda: (result.refresh(), result.is_finished)[1], timeout=TIMEOUT)
        finally:
            task_finished.disconnect(tell)
        return result


class Listed(Backend):
    """Nothing runs; what was enqueued can be listed and cleared."""

    @property
    def results(self) -> list[Any]:
        """One for each job, oldest first."""
        return [self.get_result(task_id) for task_id in Job.objects.order_by("id").values_list("task_id", flat=True)]

    def clear(self) -> None:
        """Remove all jobs."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_job")
