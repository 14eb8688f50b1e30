"""A form that is sent twice at once."""

import re
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client

from jobs.models import Job
from jobs.store import engine
from jobs.store.locks import FORM
from tests.waiting import until
from tests.web.test_create import GOOD

_WAITING = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@pytest.mark.django_db(transaction=True)
def test_the_second_waits_for_the_first_and_finds_its_job(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    page = client.get(f"/jobs/create/?task={GOOD['task']}").content.decode()
    token = re.findall(r'name="token" value="([^"]+)"', page)[0]
    answers: list[Any] = []

    def send() -> None:
        browser = Client()
        browser.cookies.update(client.cookies)
        answers.append(browser.post("/jobs/create/", {**GOOD, "token": token}))
        connections.close_all()

    threads = [Thread(target=send) for _ in range(2)]
    holder = engine.connect("holds the form")
    try:
        with holder.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_lock({FORM})", [token])
            for thread in threads:
                thread.start()
            until(lambda: cursor.execute(_WAITING) or cursor.fetchone() == (2,), what="both are at the door")
    finally:
        holder.close()
        for thread in threads:
            thread.join(30)
    assert [answer.status_code for answer in answers] == [302, 302]
    assert Job.objects.count() == 1
