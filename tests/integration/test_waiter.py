"""The session that hears of the ends of jobs."""

import os
import resource
import select
from contextlib import ExitStack, closing

import pytest
from django.db import connection

from jobs.store import engine, transitions
from jobs.store.results import Waiter
from jobs.store.transitions import Run
from tests.flows import GET
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("has_poll", [True, False])
def test_an_end_is_heard_in_a_process_with_many_files_and_where_there_is_no_poll(has_poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    job = job_in("running")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        if has_poll:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
            for _ in range(1024):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        session = stack.enter_context(closing(engine.connect("jobs-waiter")))
        assert (session.fileno() > 1023) is has_poll
        waiter = Waiter(session)
        waiter.watch([job.task_id])
        assert waiter.sleep(0.01) == set()
        with connection.cursor() as cursor:
            assert transitions.complete(cursor, Run(id=job.id, runs=1), result="1")
        assert waiter.sleep(GET) == {job.task_id}
